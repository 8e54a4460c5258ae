"""The edge: the requests of the data plane, and the engines that carry them.

Everything here ends in a value. An :class:`~kombu_sns_sqs.aws.operation.Operation` says what is asked, a
:class:`~kombu_sns_sqs.aws.reply.Reply` what came of it; nothing that the network or AWS does is raised.
"""
