"""`POST /v1/videos`, and `/v1/jobs`."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse
from pydantic import BaseModel

from cairn.inference.zoo import DEFAULT_MODEL
from cairn.media.video import VIDEO_SUFFIXES
from cairn.server.body import BodyLimits, clean_name, declared_bytes, drain, plain_stem, read_files, upload
from cairn.server.detection import MinConfidence, ModelName, Refine
from cairn.server.jobs import Job, JobStore, timestamp
from cairn.server.problems import Problem, problems
from cairn.server.protocol import AUTO
from cairn.server.state import server_of

SUFFIXES = (*VIDEO_SUFFIXES, ".gif", ".tif", ".tiff", ".webp", ".png", ".avif")

UPLOAD = upload("video", {"type": "string", "format": "binary"})

JobId = Annotated[str, PathParameter(max_length=64, description="ID of the job.")]

router = APIRouter(prefix="/v1", tags=["videos"])


class Progress(BaseModel):
    """Frames that are done, and of all where the video states it."""

    done: int
    total: int | None


class Result(BaseModel):
    """A file to download."""

    name: str
    bytes: int
    url: str


class JobBody(BaseModel):
    """A job."""

    id: str
    state: Literal["queued", "running", "done", "failed", "canceled"]
    file: str
    options: dict[str, Any]
    created: str
    started: str | None
    finished: str | None
    progress: Progress
    results: list[Result]
    error: str | None
    warnings: list[str]


class JobList(BaseModel):
    """The newest jobs."""

    jobs: list[JobBody]


@router.post(
    "/videos",
    status_code=202,
    summary="Detect keypoints in a video",
    openapi_extra=UPLOAD,
    responses=problems(400, 401, 404, 408, 413, 415, 422, 429, 503, 507),
)
async def add_video(
    request: Request,
    model: ModelName = DEFAULT_MODEL,
    refine: Refine = AUTO,
    min_confidence: MinConfidence = 0.0,
    track: Annotated[bool, Query(description="Assign track IDs.")] = False,
    draw: Annotated[bool, Query(description="Write the video with its poses drawn on it, too.")] = False,
    lift: Annotated[bool, Query(description="Lift people to 3D, with a page to turn and play; needs track.")] = False,
    format: Annotated[
        list[Literal["json", "coco", "csv", "openpose"]] | None,
        Query(max_length=4, description="Formats of the results; may be repeated. [json]"),
    ] = None,
) -> JobBody:
    """Returns a job, which runs in the background and survives a restart of the server."""
    server = server_of(request)
    limits = server.settings.limits
    store = server.jobs
    try:
        if lift and not track:
            raise Problem(422, "lift follows each person through the video: give track=true, too")
        _check_room(store, limits.open_jobs, limits.stored_jobs)
        key = await server.catalog.key(model, refine, of_images=False)
        server.check_disk(min(declared_bytes(request), limits.video_bytes))
        identity, folder = store.new_folder()
        try:
            with server.uploading():
                upload = folder / "upload"
                bounds = BodyLimits(1, limits.video_bytes, limits.stall_seconds)
                (file,) = await read_files(request, bounds, upload)
            name = stored_name(file.name)
            upload.rename(folder / name)
            _check_room(store, limits.open_jobs, limits.stored_jobs)
            options = {
                "model": key.file,
                "refine": key.refine,
                "min_confidence": min_confidence,
                "track": track,
                "draw": draw,
                "lift": lift,
                "formats": format or ["json"],
            }
            job = store.add(identity, name, options)
        except BaseException:
            store.discard(identity)
            raise
    except Problem as problem:
        if problem.status != 408:
            await drain(request)
        raise
    server.job_runner.wake()
    return job_body(job, store)


@router.get("/jobs", summary="List the jobs", responses=problems(401, 422))
async def list_jobs(request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> JobList:
    """Returns the newest jobs, the newest one first."""
    store = server_of(request).jobs
    return JobList(jobs=[job_body(job, store) for job in store.newest(limit)])


@router.get("/jobs/{job_id}", summary="Progress and results of a job", responses=problems(401, 404, 422))
async def get_job(request: Request, job_id: JobId) -> JobBody:
    """Returns a job."""
    store = server_of(request).jobs
    return job_body(store.get(job_id), store)


@router.delete("/jobs/{job_id}", summary="Cancel or delete a job", responses=problems(401, 404, 422))
async def delete_job(request: Request, job_id: JobId) -> JobBody:
    """Cancels a job that waits or runs, and deletes its files; deletes a job that has ended."""
    server = server_of(request)
    server.jobs.get(job_id)
    return job_body(await server.job_runner.cancel(job_id), server.jobs)


@router.get(
    "/jobs/{job_id}/results/{name}",
    summary="Download a result",
    response_class=FileResponse,
    responses={200: {"content": {"application/octet-stream": {}}}, **problems(401, 404, 422)},
)
async def get_result(request: Request, job_id: JobId, name: str) -> FileResponse:
    """Returns a file that the job lists."""
    store = server_of(request).jobs
    results = store.results(store.get(job_id))
    if name not in results:
        raise Problem(404, f"the job has no result {name[:80]!r}: it has {', '.join(results) or 'none yet'}")
    return FileResponse(results[name], filename=name)


def job_body(job: Job, store: JobStore) -> JobBody:
    """Returns a job as clients get it: models by name, and results by address."""
    options = {**job.options}
    for key in ("model", "refine"):
        options[key] = None if options.get(key) is None else _model_name(options[key])
    return JobBody(
        id=job.id,
        state=job.state,
        file=job.file,
        options=options,
        created=timestamp(job.created) or "",
        started=timestamp(job.started),
        finished=timestamp(job.finished),
        progress=Progress(done=job.done, total=job.total),
        results=[
            Result(name=name, bytes=path.stat().st_size, url=f"/v1/jobs/{job.id}/results/{name}")
            for name, path in store.results(job).items()
        ],
        error=job.error,
        warnings=job.warnings,
    )


def stored_name(name: str) -> str:
    """Returns the name of a file in the folder of its job: plain letters, and a suffix of videos or none.

    It names one file for every part of the library: no list, no glob, no numbered images, no webcam.
    """
    suffix = PurePosixPath(clean_name(name, "video")).suffix.lower()
    return f"{plain_stem(name, 'video')}{suffix if suffix in SUFFIXES else '.video'}"


def _check_room(store: JobStore, open_jobs: int, stored_jobs: int) -> None:
    if store.count(only_open=True) >= open_jobs:
        raise Problem(429, f"{open_jobs} jobs wait or run already: try again later", {"Retry-After": "30"})
    if store.count(only_open=False) >= stored_jobs:
        raise Problem(429, f"{stored_jobs} jobs are stored: delete some that are done", {"Retry-After": "3600"})


def _model_name(file: str) -> str:
    path = Path(file)
    return path.parent.name if path.name == "model.onnx" else path.stem
