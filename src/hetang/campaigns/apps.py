from django.apps import AppConfig


class CampaignsConfig(AppConfig):
    name = "hetang.campaigns"
    label = "campaigns"
