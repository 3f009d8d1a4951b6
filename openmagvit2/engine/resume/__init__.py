"""Save and resume a training.

How an iteration is saved:

1. ``engine/hooks/checkpoint.py:ResumableCheckpointHook.save`` starts it.
2. ``state.py:collect`` collects the state; other hooks add to it.
3. ``engine/finite.py:check_parameters`` refuses weights that are not finite.
4. ``checkpoint/writing.py:save_atomically`` writes a file, ``sharded.py:write_sharded`` a folder.
5. ``run_folder.py:Run.keep`` removes the oldest checkpoints of the run.

How a training resumes:

1. ``run_folder.py:newest`` finds the checkpoint for ``workflows/train.py``.
2. ``run_folder.py:resume_run`` checks that the folder belongs to its run.
3. ``state.py:read_mapped`` reads it for mmengine's Runner.
4. ``state.py:take_weights`` and ``restore`` put its state in place.
5. ``changes.py:check_changes`` logs or refuses settings that have changed.
"""
