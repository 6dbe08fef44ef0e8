"""The URL of a function's alias, and who may call it."""

from __future__ import annotations

from mlpack.aws.calls import Answer, Service

WORDS = {"iam": "AWS_IAM", "public": "NONE"}
"""Who may call: whoever may invoke the function, or anybody."""

ABSENT = "ResourceNotFoundException"

_PUBLIC = "mlpack-public-url"


class FunctionUrl:
    """The URL of one alias."""

    def __init__(self, service: Service, function: str, alias: str, wanted: str) -> None:
        """What it shall be: ``iam``, ``public`` or ``none``."""
        self._lambda = service
        self._where = {"FunctionName": function, "Qualifier": alias}
        self._wanted = wanted

    def address(self) -> str:
        """The URL of the alias; empty where it has none."""
        found = self._url()
        return str(found["FunctionUrl"]) if found else ""

    def open(self) -> str:
        """Make the URL what it shall be; where it answers, empty for nowhere.

        Who may call is settled before the URL is: broken off between the two, it is closed to all.
        """
        wanted = WORDS.get(self._wanted)
        found = self._url()
        there = found["AuthType"] if found is not None else None
        if found is not None and there == wanted:
            return str(found["FunctionUrl"])
        if there == "NONE" or wanted == "NONE":
            self._permit(public=wanted == "NONE")
        if wanted is None:
            if found is not None:
                self.close()
            return ""
        change = "create" if found is None else "update"
        made = self._lambda.ask(f"{change}_function_url_config", AuthType=wanted, **self._where)
        return str(made["FunctionUrl"])

    def shaped(self) -> bool:
        """Whether the URL is what it shall be."""
        found = self._url()
        return (found["AuthType"] if found else None) == WORDS.get(self._wanted)

    def _url(self) -> Answer | None:
        return self._lambda.find(
            "get_function_url_config",
            ABSENT,
            **self._where,
        )

    def _permit(self, *, public: bool) -> None:
        """Let anybody call by the URL, and by nothing else; or nobody."""
        grants: tuple[tuple[str, str, Answer], ...] = (
            (_PUBLIC, "lambda:InvokeFunctionUrl", {"FunctionUrlAuthType": "NONE"}),
            (f"{_PUBLIC}-invoke", "lambda:InvokeFunction", {"InvokedViaFunctionUrl": True}),
        )
        for sid, action, more in grants:
            if not public:
                self._lambda.find("remove_permission", ABSENT, StatementId=sid, **self._where)
                continue
            self._lambda.find(
                "add_permission",
                "ResourceConflictException",  # it is there
                StatementId=sid,
                Action=action,
                Principal="*",
                **more,
                **self._where,
            )

    def close(self) -> None:
        """Take it away."""
        self._lambda.find("delete_function_url_config", ABSENT, **self._where)
