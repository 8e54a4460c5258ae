"""How what declares, binds and looks up is made, one of another."""

from __future__ import annotations

from kombu_sns_sqs.aws.control import ControlPlane
from kombu_sns_sqs.lifecycle import Housekeeper
from kombu_sns_sqs.options import Options
from kombu_sns_sqs.topology.access import Access
from kombu_sns_sqs.topology.binder import Binder
from kombu_sns_sqs.topology.companions import Companions
from kombu_sns_sqs.topology.directory import Directory
from kombu_sns_sqs.topology.entities import Queue
from kombu_sns_sqs.topology.exchanges import Exchanges
from kombu_sns_sqs.topology.filtering import Filtering
from kombu_sns_sqs.topology.making import QueueMaker
from kombu_sns_sqs.topology.provisioner import Provisioner
from kombu_sns_sqs.topology.restoring import Restorer
from kombu_sns_sqs.topology.subscriptions import Subscriptions
from kombu_sns_sqs.topology.tags import QueueTags


class Topology:
    """Exchanges, queues and bindings, for all connections of one process that share their options.

    Args:
        control: asks AWS.
        housekeeper: does later what need not be done at once.
        options: names, and what may be made.
    """

    def __init__(self, *, control: ControlPlane, housekeeper: Housekeeper, options: Options) -> None:
        self.directory = Directory(control=control, options=options)
        self.subscriptions = Subscriptions(control=control, directory=self.directory, options=options)
        self.companions = Companions(control=control, options=options)
        exchanges = Exchanges(control=control, directory=self.directory, options=options)
        access = Access(control=control, directory=self.directory, options=options)
        maker = QueueMaker(control=control, directory=self.directory, access=access, options=options)
        #: What this process's temporary queues are named after.
        self.owner = maker.owner
        self.binder = Binder(
            control=control,
            directory=self.directory,
            exchanges=exchanges,
            subscriptions=self.subscriptions,
            filtering=Filtering(control=control, housekeeper=housekeeper, tags=self._tags, options=options),
            access=access,
            options=options,
        )
        self.provisioner = Provisioner(
            control=control,
            directory=self.directory,
            exchanges=exchanges,
            maker=maker,
            binder=self.binder,
            access=access,
            companions=self.companions,
            options=options,
        )
        self.restorer = Restorer(
            provisioner=self.provisioner,
            maker=maker,
            binder=self.binder,
            directory=self.directory,
            call_later=housekeeper.call_later,
        )

    def _tags(self, queue: Queue) -> QueueTags:
        return self.binder.tags(queue)
