"""A site that keeps the templates of its flow before: the recipe of the docs."""
