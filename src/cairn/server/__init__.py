"""`cairn serve`: the HTTP API, and the web app that uses it.

The process of the server parses HTTP and keeps books; it neither decodes images nor runs networks. What clients send is
decoded in processes of its own:

- `protocol` and `worker`: a process that decodes images and runs models, and the messages on its pipes.
- `pool` and `batching`: workers that are restarted when they die; images of all requests in batches.
- `jobs`, `job_runner` and `job_process`: videos, in SQLite and files, each in a process of its own.
- `project`, `projects`, `label_store` and `labeling`: label projects; `label_worker` decodes what is uploaded to them,
  `imported_labels` reads label files in `confinement`; `scratch` has what is uploaded or deleted now.
- `trainings` and `training_process`: trainings, which outlive the server.
- `security`, `body` and `problems`: who may ask, how much may be sent, and errors as problem+json.
- `app`: the application with its routers; each router is one module (`detection`, `videos`, `stream`, `project_api`,
  `project_uploads`, `training_api`, `status`).
"""
