"""The offline compiler: what SageMaker Neo checks, and ONNX Runtime's graph optimiser behind it.

It takes the place of Neo and never says that it is Neo: compiler.json in the artifact tells what compiled it, and for
what. It runs in processes of its own, which `worker` is the loop of; `offline.runners.compilation` hands it the jobs.
What Neo checks, and its words for it, are read off its documentation
(https://docs.aws.amazon.com/sagemaker/latest/dg/neo-compilation-preparing-model.html,
https://docs.aws.amazon.com/sagemaker/latest/dg/neo-troubleshooting-compilation.html) and the loader that Neo published
(https://github.com/neo-ai/neo-loader), and written down here anew: the product has its own reading of the same pages,
and a test compares the two.
"""
