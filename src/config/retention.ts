import { z } from 'zod'
import { duration } from './units.ts'

/** How long messages and rooms are kept. */
export const retention = z
  .strictObject({
    enabled: z
      .boolean()
      .prefault(false)
      .describe(
        'Whether messages expire: by the m.room.retention of their room (MSC1763), or as default_lifetime says. Expired messages are hidden at once and deleted within `interval`, on this server only.',
      ),
    default_lifetime: duration.optional().meta({
      description: 'How long messages are kept in rooms that do not say it. Absent: for ever.',
      example: '365d',
    }),
    min_lifetime: duration
      .prefault('1d')
      .describe('Messages are kept for at least this time, whatever their room says.'),
    max_lifetime: duration.optional().meta({
      description: 'Messages are kept for at most this time, whatever their room says. Absent: no limit.',
      example: '1825d',
    }),
    interval: duration
      .prefault('1d')
      .describe('How often expired messages and abandoned rooms are deleted; at most 6d.'),
    abandoned_rooms: duration.optional().meta({
      description:
        'Rooms that all local users have left are deleted after this time, with or without `enabled`. Absent: never.',
      example: '90d',
    }),
  })
  .refine(({ interval }) => interval > 0 && interval <= 6 * 24 * 3_600_000, {
    path: ['interval'],
    error: 'expected a duration up to 6d',
  })
  .prefault({})
  .describe('How long messages and rooms are kept: docs/administration.md.')
