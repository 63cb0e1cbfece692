"""Watching over the jobs themselves: what was lost is started again, silence is noticed, old traces go."""
