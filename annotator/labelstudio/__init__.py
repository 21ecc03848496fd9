"""Everything that knows Label Studio: its formats, its server and what goes to and fro.

    brush.py         its run-length code of masks
    config.py        the labelling interface, from the taxonomy
    regions.py       Finding <-> result region        drawn.py  shapes by hand back into pixels
    diff.py          annotation -> Correction, region by region against its prediction
    tasks.py         what a task and a smart tool's context say
    environment.py   its own pinned Python environment
    process.py       the server on this machine: start, stop, status
    credentials.py   its login, token and key, readable by the owner alone
    client.py        the requests we make          links.py  which row of the server is which of ours
    connect.py       project, interface, storage, ML backend
    push.py          frames and predictions out    pull.py  annotations in

label_studio_sdk takes seconds to load, so it is imported only in the functions that call it (client.py, push.py).
"""
