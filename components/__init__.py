"""From descriptions to resources on the engine. Nothing is rendered here: texts and flags come from `config`."""
