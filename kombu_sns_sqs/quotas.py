"""The limits AWS sets, as named constants, each with the page that states it.

A number of AWS's stands here and nowhere else: where the service raises a limit, one line changes.
"""

from __future__ import annotations

from typing import Final

# -- Amazon SQS ---------------------------------------------------------------------------------------------
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html

#: Bytes of one message, its attributes included; also of all the messages of one batch together.
MAX_MESSAGE_BYTES: Final = 1_048_576
#: Entries of one batch request (send, delete, change visibility, and SNS publish).
MAX_BATCH_ENTRIES: Final = 10
#: Messages one ReceiveMessage can return.
MAX_RECEIVE_MESSAGES: Final = 10
#: Seconds one ReceiveMessage can wait for a message.
MAX_WAIT_SECONDS: Final = 20
#: Attributes of one message. SNS raw delivery silently discards a message with more.
MAX_MESSAGE_ATTRIBUTES: Final = 10
#: Seconds a message can stay invisible, counted from its receive, extensions included.
MAX_VISIBILITY_SECONDS: Final = 43_200
#: Seconds a message can be delayed when it is sent.
MAX_DELAY_SECONDS: Final = 900
#: Seconds a queue keeps a message: at least, and at most.
MIN_RETENTION_SECONDS: Final = 60
MAX_RETENTION_SECONDS: Final = 1_209_600
#: What it is unless the queue is made with another.
DEFAULT_RETENTION_SECONDS: Final = 345_600

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
#: Receives after which a redrive policy can move a message at the latest (``maxReceiveCount``).
MAX_RECEIVE_COUNT: Final = 1000

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html
#: Characters of a queue name, the suffix ``.fifo`` included.
MAX_QUEUE_NAME: Final = 80
#: What the name of a FIFO queue or topic ends with.
FIFO_SUFFIX: Final = ".fifo"
#: Seconds for which the name of a deleted queue cannot be used again.
QUEUE_NAME_REST_SECONDS: Final = 60
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
#: Seconds to wait before a queue that was made can be used.
QUEUE_SETTLING_SECONDS: Final = 1
#: Seconds between two PurgeQueue calls on one queue.
PURGE_REST_SECONDS: Final = 60

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-queue-tags.html
#: Tags of one queue; characters of a key and of a value.
MAX_QUEUE_TAGS: Final = 50
MAX_TAG_KEY: Final = 128
MAX_TAG_VALUE: Final = 256

# -- Amazon SNS ---------------------------------------------------------------------------------------------
# https://docs.aws.amazon.com/general/latest/gr/sns.html

#: Characters of a topic name, the suffix ``.fifo`` included.
MAX_TOPIC_NAME: Final = 256
#: Bytes of one SNS message unless the topic's MaximumMessageSize says more; also of one PublishBatch.
MAX_TOPIC_MESSAGE_BYTES: Final = 262_144

# https://docs.aws.amazon.com/sns/latest/dg/subscription-filter-policy-constraints.html
#: Keys of one filter policy, and combinations of their values.
MAX_FILTER_KEYS: Final = 5
MAX_FILTER_COMBINATIONS: Final = 150
#: Bytes of one filter policy.
MAX_FILTER_BYTES: Final = 262_144
#: Seconds a new or changed filter policy may need to act.
FILTER_SETTLING_SECONDS: Final = 900

# -- AMQP 0-9-1 ---------------------------------------------------------------------------------------------
# https://www.rabbitmq.com/amqp-0-9-1-reference#domain.shortstr
#: Bytes of an exchange name, a queue name or a routing key (``shortstr``).
MAX_SHORT_STRING: Final = 255
