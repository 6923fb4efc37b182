from django.apps import AppConfig


class CustomersConfig(AppConfig):
    name = "hetang.customers"
    label = "customers"
