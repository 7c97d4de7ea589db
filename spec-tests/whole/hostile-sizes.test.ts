import { describeAttacks } from '../harness/hostile-world.ts'
import { delayedEvents } from '../harness/size-attacks/delayed-events.ts'
import { fullOutboxes } from '../harness/size-attacks/full-outboxes.ts'
import { largeInvites } from '../harness/size-attacks/invites.ts'
import { largeAnswers } from '../harness/size-attacks/large-answers.ts'
import { largeRooms } from '../harness/size-attacks/large-rooms.ts'
import { edusOfPeers } from '../harness/size-attacks/peer-edus.ts'
import { hostilePushers } from '../harness/size-attacks/pushers.ts'
import { slidingConfigs } from '../harness/size-attacks/sliding-configs.ts'
import { slowReaders } from '../harness/size-attacks/slow-readers.ts'
import { longLists, storedThings } from '../harness/size-attacks/stored-things.ts'
import { messagesToDevices } from '../harness/size-attacks/to-device.ts'

/** Limits that rows can reach in a moment; the sizes are the defaults. */
const CONFIG = {
  limits: {
    totals: {
      account_data: '2M',
      delayed_events: '100K',
      device_keys: '40K',
      key_backups: '100K',
      server_outbox: '1M',
      to_device_inbox: '3M',
      to_device_request: '2M',
    },
    answers: {
      to_device: '1M',
      stripped_state: '200K',
      keys: '90K',
      events: '300K',
      timeline: '120K',
      room_state: '500K',
      page: '120K',
    },
    counts: {
      devices: 4,
      one_time_keys: 20,
      fallback_keys: 3,
      backup_keys: 10,
      backup_versions: 3,
      filters: 5,
      pushers: 3,
      pending_invites: 5,
      pending_invites_by_server: 3,
      thread_subscriptions: 2,
      to_device_messages: 50,
      signed_keys: 10,
      initial_state: 10,
    },
  },
}

describeAttacks(
  'sizes',
  [
    ...storedThings,
    ...longLists,
    ...messagesToDevices,
    ...largeInvites,
    ...edusOfPeers,
    ...largeAnswers,
    ...largeRooms,
    ...hostilePushers,
    ...slidingConfigs,
    ...delayedEvents,
    ...fullOutboxes,
  ],
  CONFIG,
)

describeAttacks('sizes with the default limits', slowReaders, {
  limits: { answer_timeout: '2s', totals: { unread_answers_of_user: '40M', unread_answers: '60M' } },
})
