"""How the compiler refuses: in Neo's words, of which the first say whose fault it is and where to look."""


class CompileError(Exception):
    """A model or a request that Neo refuses; the message is the job's failure reason."""


def bad_input(message: str) -> CompileError:
    """The error of a tarball, or of an input that does not fit it.

    https://docs.aws.amazon.com/sagemaker/latest/dg/neo-troubleshooting-compilation.html
    """
    return CompileError(f"ClientError: InputConfiguration: {message}")


def bad_output(message: str) -> CompileError:
    """The error of a target or its options. Neo's own words for these are not published."""
    return CompileError(f"ClientError: OutputConfiguration: {message}")


def not_compiled(target: str, message: str) -> CompileError:
    """The error of a model that is right and yet not compiled; so worded in
    https://github.com/aws/amazon-sagemaker-examples/issues/2312"""
    return CompileError(f"ClientError: CompilationError: Unable to compile model for {target}: {message}")
