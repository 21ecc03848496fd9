"""The names that interpretations are scored by: anatomy, measures, disorders, and which of them mean the same.

Facts of the second tracker's scorer (pipeline 4.0), in our own table. Phrases are separated by commas, in the
singular; plurals, British spellings and hyphens are seen through by the word reader.
"""

ANATOMY = (
    "abdomen, abdominal circumference, amnion, amniotic fluid, amniotic sac, aorta, aortic arch, ascending aorta, "
    "descending aorta, biparietal diameter, bowel, calvarial bone, cavum septum pellucidum, cerebellum, "
    "cerebral cortex, cerebral peduncle, cervical canal, cervical stroma, cervix, chest, chin, choroid plexus, "
    "cisterna magna, cord insertion, corpus callosum, crown-rump length, diaphragm, diaphysis of femur, "
    "endocervical canal, external os, internal os, extremity, facial bone, facial profile, fetal back, fetal body, "
    "fetal pole, forehead, four-chamber of heart, third ventricle, fourth ventricle, "
    "frontal bone, frontal lobe, frontoparietal lobe, occipital lobe, parietal lobe, parieto-occipital lobe, "
    "temporal lobe, frontomaxillary facial angle, gallbladder, genitalia, gestational sac, head and neck, "
    "head circumference, heart, brain parenchyma, intracranial translucency, kidney, limb, liver, lumbar vertebra, "
    "thoracic vertebra, lung, mandible, maxilla, mouth, nasal bone, neck, nose, nuchal fold, nuchal translucency, "
    "occipital horn, orbit, pelvis, placenta, rib cage, rib, skin, skin line, soft tissue, spleen, "
    "subcutaneous tissue, superior sagittal sinus, suprarenal gland, symphysis pubis, thalamus, thigh muscle, "
    "umbilical artery, umbilical cord, umbilical vein, upper lip, urinary bladder, vermis, yolk sac, midbrain, "
    "palate, left ventricle, right ventricle, left atrium, right atrium, interventricular septum, "
    "pulmonary artery, mitral valve, tricuspid valve, humerus, tibia, foot, hand, portal vein, cranial midline"
)

# The tracker's synonyms of field 1; the first word of each line is what the others are counted as.
SAME = (
    "abdomen, abdominal wall",
    "fetal head, skull, fetal skull, calvarium, cranium, head",
    "spine, fetal spine, vertebra, vertebral column",
    "inferior vena cava, IVC",
    "stomach, stomach bubble, bubble, gastric bubble",
    "falx cerebri, falx, interhemispheric fissure",
    "lateral ventricle, ventricle, cerebral ventricle",
    "femur, thigh bone, femoral bone",
    "brain, intracranial structure",
    "cavum septum pellucidum, CSP, cavum, septum pellucidum",
    "chest, thorax",
    "symphysis pubis, pubic symphysis",
    "urinary bladder, bladder",
    "suprarenal gland, adrenal gland, adrenal",
    "abdominal circumference, AC",
    "head circumference, HC",
    "biparietal diameter, BPD",
    "crown-rump length, CRL",
    "nuchal translucency, NT",
    "intracranial translucency, IT",
    "four-chamber of heart, four-chamber, 4-chamber",
)

# Field 4, by the abbreviation; 'crown-rump length' is read with its hyphen, which the tracker loses.
MEASURES = {
    "AC": "AC, abdominal circumference",
    "HC": "HC, head circumference",
    "BPD": "BPD, bi-parietal diameter",
    "CRL": "CRL, crown-rump length, crown to rump length",
    "NT": "NT, nuchal translucency",
    "FL": "FL, femur length, femoral length",
    "CL": "CL, cervical length, length of cervix",
    "NF": "NF, nuchal fold",
    "AOP": "AOP, angle of progression",
    "LV": "LV, lateral ventricle, ventricular width",
    "IVC": "IVC, inferior vena cava",
    "FMF": "FMF, frontomaxillary facial angle",
    "IT": "IT, intracranial translucency",
    "OFD": "OFD, occipito-frontal diameter",
    "TCD": "TCD, transcerebellar diameter, trans-cerebellar diameter, cerebellar, cerebellar diameter",
    "cisterna magna": "cisterna magna",
    "aortic": "aortic, aortic diameter, aorta",
}

DISORDERS = (
    "ventriculomegaly, hydrocephalus, spina bifida, ventricular septal defect, atrioventricular septal defect, "
    "placenta previa, previa, hematoma, cystic hygroma, hygroma, omphalocele, gastroschisis, hydronephrosis, "
    "pleural effusion, pericardial effusion, effusion, ascites, hydrops, cleft lip, cleft palate, cleft, cyst, "
    "increased NT, thickened NT, increased nuchal translucency, thickened nuchal translucency, "
    "absent nasal bone, holoprosencephaly, anencephaly, encephalocele, microcephaly, macrocephaly, "
    "agenesis of corpus callosum, diaphragmatic hernia, growth restriction, macrosomia, oligohydramnios, "
    "polyhydramnios, tetralogy, cardiomegaly, talipes, fracture, dilated, dilatation, funneling"
)
SAME_DISORDERS = (
    "ventricular septal defect, VSD",
    "placenta previa, previa",
    "increased NT, thickened NT, increased nuchal translucency, thickened nuchal translucency, NT increased, "
    "nuchal translucency increased",
    "dilated, dilatation, dilation",
    "growth restriction, IUGR, FGR",
)
