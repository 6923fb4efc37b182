from django.apps import AppConfig


class CommunitiesConfig(AppConfig):
    name = "hetang.communities"
    label = "communities"
