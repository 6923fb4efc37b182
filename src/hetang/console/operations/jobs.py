"""Jobs: what runs, how far it is, stop it."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from hetang.console.lists.tables import Column, Table, read
from hetang.console.operations.titles import result_label
from hetang.platform import audit
from hetang.platform import jobs as queue
from hetang.platform.access import actor_of, needs, signed_in
from hetang.platform.models import JobRun

STATES: dict[str, tuple[str | Promise, str]] = {
    JobRun.WAITING: (gettext_lazy("Waiting to start"), ""),
    JobRun.RUNNING: (gettext_lazy("Running"), "info"),
    JobRun.DONE: (gettext_lazy("Finished"), "good"),
    JobRun.FAILED: (gettext_lazy("Failed"), "bad"),
    JobRun.CANCELLED: (gettext_lazy("Cancelled"), "warn"),
}


TABLE = Table(
    code="jobs",
    label=gettext_lazy("Jobs"),
    permission="operations:view",
    url_name="operations:jobs",
    columns=(
        Column("job", gettext_lazy("Job"), fixed=True),
        Column("state", gettext_lazy("State")),
        Column("progress", gettext_lazy("Progress")),
        Column("by", gettext_lazy("Started by")),
        Column("asked", gettext_lazy("Asked for"), sort="id", hidden=True),
        Column("started", gettext_lazy("Started")),
        Column("ended", gettext_lazy("Ended")),
    ),
    order=("-id",),
    key=("-id",),
    filters=("state",),
)


@require_GET
@needs("operations:view")
def job_list(request: HttpRequest) -> HttpResponse:
    """All jobs, newest first."""
    state = request.GET.get("state", "")
    runs = JobRun.objects.select_related("created_by").defer("arguments", "result")
    if state in STATES:
        runs = runs.filter(state=state)
    listing = read(TABLE, runs, request)
    page = listing.page
    for run in page:
        run.state_label, run.state_tone = STATES[run.state]  # type: ignore[attr-defined]
    choices = [(code, label, code == state) for code, (label, _tone) in STATES.items()]
    return render(request, "console/operations/jobs.html", {"listing": listing, "page": page, "choices": choices})


@require_GET
@signed_in
def job_detail(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """One job with its live progress, result and error."""
    run = _visible(request, public_id)
    label, tone = STATES[run.state]
    plain = (str, int, float, bool)
    result = [(result_label(run, name), value) for name, value in run.result.items() if isinstance(value, plain)]
    values = {"job": run, "state_label": label, "state_tone": tone, "result": result}
    return render(request, "console/operations/job.html", values)


@require_GET
@signed_in
def progress(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The progress fragment that pages poll. Ends by itself when the job has ended."""
    run = _visible(request, public_id)
    then = request.GET.get("then", "")
    then = then if then.startswith("/") and not then.startswith("//") else ""
    answer = render(request, "console/operations/job_progress.html", {"job": run, "then": then})
    if then and run.finished_at and request.headers.get("HX-Request") == "true":
        answer["HX-Redirect"] = then  # somebody watched it end: on to what came of it
    return answer


@require_POST
@signed_in
def cancel(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Ask a job to stop at its next safe place."""
    run = _visible(request, public_id)
    queue.cancel(run)
    audit.record(actor_of(request), "job.cancelled", "job", run.public_id, {"kind": run.kind})
    if request.headers.get("HX-Request") == "true":
        return HttpResponse(status=204)
    messages.success(request, _("The job stops at its next safe place. What is finished stays."))
    return redirect("operations:job", public_id)


def _visible(request: HttpRequest, public_id: UUID) -> JobRun:
    """The job, for whoever started it and for those who see operations; a 404 for everybody else."""
    run = get_object_or_404(JobRun, public_id=public_id)
    actor = actor_of(request)
    if run.created_by_id != actor.user_id and not actor.can("operations:view"):
        raise Http404
    return run
