"""Addresses of the customers' pages."""

from django.urls import path

from hetang.console.customers import (
    avatars,
    bulk,
    edits,
    lists,
    portraits,
    proposing,
    reveals,
    review,
    tags,
    unmerging,
)

app_name = "customers"
urlpatterns = [
    path("", lists.customer_list, name="list"),
    path("bulk/", bulk.change_list, name="bulk-list"),
    path("bulk/new", bulk.new, name="bulk-new"),
    path("bulk/<uuid:public_id>/", bulk.show, name="bulk"),
    path("bulk/<uuid:public_id>/start", bulk.start, name="bulk-start"),
    path("bulk/<uuid:public_id>/continue", bulk.go_on, name="bulk-continue"),
    path("bulk/<uuid:public_id>/undo", bulk.undo, name="bulk-undo"),
    path("bulk/<uuid:public_id>/ask", bulk.ask, name="bulk-ask"),
    path("bulk/<uuid:public_id>/discard", bulk.discard, name="bulk-discard"),
    path("tags/", tags.tag_list, name="tags"),
    path("tags/groups/new", tags.group_new, name="tag-group-new"),
    path("tags/new", tags.tag_new, name="tag-new"),
    path("tags/<int:tag_id>/rename", tags.tag_rename, name="tag-rename"),
    path("tags/<int:tag_id>/archive", tags.tag_archive, name="tag-archive"),
    path("<uuid:public_id>/", portraits.portrait, name="portrait"),
    path("<uuid:public_id>/avatar", avatars.avatar, name="avatar"),
    path("<uuid:public_id>/reveal", reveals.reveal, name="reveal"),
    path("<uuid:public_id>/timeline", portraits.timeline, name="timeline"),
    path("<uuid:public_id>/audiences", portraits.audiences, name="audiences"),
    path("review/", review.queue, name="review"),
    path("review/look", review.look, name="review-look"),
    path("review/<int:proposal_id>/", review.pair, name="review-pair"),
    path("review/<int:proposal_id>/decide", review.decide, name="review-decide"),
    path("review/<int:proposal_id>/undo", review.undo, name="review-undo"),
    path("<uuid:public_id>/same-as", proposing.same_as, name="same-as"),
    path("<uuid:public_id>/merges/<int:merge_id>", unmerging.question, name="unmerge"),
    path("<uuid:public_id>/merges/<int:merge_id>/separate", unmerging.separate, name="separate"),
    path("decisions/<int:decision_id>/take-back", unmerging.take_back, name="take-back"),
    path("<uuid:public_id>/tags", edits.change_tag, name="change-tag"),
    path("<uuid:public_id>/consents", edits.change_consent, name="change-consent"),
    path("<uuid:public_id>/consent-basis", edits.state_basis, name="state-basis"),
    path("<uuid:public_id>/personalisation", edits.change_personalisation, name="personalisation"),
    path("<uuid:public_id>/do-not-disturb", edits.change_do_not_disturb, name="do-not-disturb"),
]
