import { z } from 'zod'
import { duration } from './units.ts'

const text = z.string().min(1).max(1000)

/** The section `media.scanner`. */
export const scanner = z
  .strictObject({
    clamd: z
      .string()
      .regex(
        /^(\/.+|(\[[0-9a-f:.]+\]|[\w.-]+):\d{1,5})$/i,
        "expected a socket such as '/run/clamav/clamd.ctl', or host:port",
      )
      .optional()
      .meta({
        description: "The socket of ClamAV's daemon, a path or host:port. Absent: files are not scanned by it.",
        example: '/run/clamav/clamd.ctl',
      }),
    url: z
      .url({ protocol: /^https?$/, error: "expected a URL such as 'http://localhost:9000/scan'" })
      .optional()
      .meta({
        description: 'The URL of another scanner, to which Hearth posts each file; docs/media.md describes the answer.',
        example: 'http://localhost:9000/scan',
      }),
    token: text
      .optional()
      .meta({ description: 'A token that Hearth sends to url, as Authorization: Bearer.', example: 'a secret' }),
    token_file: text.optional().meta({
      description: 'A file with that token, instead of token.',
      example: '/etc/hearth/scanner.token',
    }),
    timeout: duration.prefault('1m').describe('How long the scan of a file may take.'),
    max_concurrent: z.int().positive().prefault(4).describe('How many files each process scans at the same time.'),
    on_failure: z
      .enum(['refuse', 'allow'])
      .prefault('refuse')
      .describe(
        'Whether files are refused with 503, or allowed, while the scanner does not answer or cannot scan a file.',
      ),
  })
  .refine(({ clamd, url }) => clamd === undefined || url === undefined, {
    message: 'set either clamd or url',
    path: ['clamd'],
  })
  .refine(({ token, token_file }) => token === undefined || token_file === undefined, {
    message: 'set either token or token_file',
    path: ['token'],
  })
  .prefault({})
  .describe(
    'A malware scanner for uploads, and for files of other servers before they are served. Encrypted files cannot be scanned.',
  )
