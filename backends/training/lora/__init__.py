"""`train fada`: LoRA on conversations, with or without the teachers' features.

request        what to train on what, and how
conversations  conversations.jsonl -> questions with their answers, each fault with its line
targets        which layers of which family a preset trains
batches        conversations -> tensors, exactly as the model is asked later
distill        the student's vision features beside those of the teachers
student        the model with its adapter: losses of a batch, gradients of a step
checkpoints    everything a killed run needs to go on, whole or absent
fitting        the steps, from the first or from a checkpoint to the last
results        the adapter, its figures and its card, written when all is done
training       the way through all of these
"""
