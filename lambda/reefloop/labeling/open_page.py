"""OpenPage: let people sign in to the page on which they label."""

from dataclasses import dataclass
from typing import Any, Final

from reefloop import clients, environment
from reefloop.payloads import LabelingPage

_SIGN_IN: Final[dict[str, Any]] = {
    "SupportedIdentityProviders": ["COGNITO"],
    "AllowedOAuthFlowsUserPoolClient": True,
    "AllowedOAuthFlows": ["code", "implicit"],
    "AllowedOAuthScopes": ["openid", "email", "profile"],
}


@dataclass(frozen=True)
class Environment:
    workforce: str


def handler(_event: object, _context: object) -> LabelingPage:
    """Have the user pool lead people back to the page once they have signed in.

    The workforce needs the pool's client, and the client the address that the workforce gets: whoever makes both has
    to tell the client afterwards, and after each time that the stack has changed the client.
    https://aws.amazon.com/blogs/machine-learning/create-a-private-workforce-on-amazon-sagemaker-ground-truth-with-the-aws-cdk/
    """
    env = environment.read(Environment)
    workforce = clients.sagemaker().describe_workforce(WorkforceName=env.workforce)["Workforce"]
    page = f"https://{workforce['SubDomain']}"
    pool, client_id = workforce["CognitoConfig"]["UserPool"], workforce["CognitoConfig"]["ClientId"]
    cognito = clients.client("cognito-idp")
    client = cognito.describe_user_pool_client(UserPoolId=pool, ClientId=client_id)["UserPoolClient"]
    # What an update does not name falls back to its default.
    taken = cognito.meta.service_model.operation_model("UpdateUserPoolClient").input_shape.members
    kept = {name: value for name, value in client.items() if name in taken}
    urls = {"CallbackURLs": [f"{page}/oauth2/idpresponse"], "LogoutURLs": [f"{page}/logout"]}
    cognito.update_user_pool_client(**{**kept, **_SIGN_IN, **urls})
    return LabelingPage(address=page)
