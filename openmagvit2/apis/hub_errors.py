"""Errors of the Hugging Face hub, each as a reason and what to do."""

from openmagvit2.errors import UserError, first_line


def hub_error(name: str, what: str, error: Exception, revision: str | None = None) -> UserError:
    """Return one sentence for an error of huggingface_hub.

    Args:
        name: Repository, ``owner/name``.
        what: What failed, as 'cannot be downloaded from the hub'.
        error: What a call of huggingface_hub raised.
        revision: Branch, tag or commit that was asked for.
    """
    return UserError(f'{name} {what}: {reason(error, revision)}.')


def reason(error: Exception, revision: str | None = None) -> str:
    """Return why a call of huggingface_hub failed and what to do, as part of a sentence."""
    from huggingface_hub import errors  # takes a second to import

    if isinstance(error, errors.LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        # No copy in the cache replaces what the hub did not give; the cause says why it did not.
        error = error.__cause__
    remedies = {
        errors.GatedRepoError: (
            'access to it must be granted; ask for it on its page, then log in with `hf auth login`'
        ),
        errors.RepositoryNotFoundError: (
            'it does not exist or is private; check the name, or log in with `hf auth login`'
        ),
        errors.RevisionNotFoundError: (
            f'it has no revision {revision}; choose another branch, tag or commit'
        ),
        errors.LocalEntryNotFoundError: 'the cache has no complete copy of it; download it online',
        errors.EntryNotFoundError: 'it has no such file',
        errors.OfflineModeIsEnabled: (
            'HF_HUB_OFFLINE is set, and the cache has no complete copy; unset it and call again'
        ),
        errors.HFValidationError: first_line(error),
    }
    for kind, text in remedies.items():
        if isinstance(error, kind):
            return text
    if isinstance(error, errors.HfHubHTTPError) and error.response is not None:
        if error.response.status_code == 401:
            return 'the hub requires a valid access token; log in with `hf auth login`'
        if error.response.status_code == 403:
            return 'the access token does not permit it; use one that does, with `hf auth login`'
    return f'{first_line(error)}; check the network and call again'
