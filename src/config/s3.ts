import { z } from 'zod'
import { byteSize } from './units.ts'

const text = z.string().min(1).max(1000)

/** The section `media.s3`. */
export const s3 = z
  .strictObject({
    bucket: text.optional().meta({
      description: 'The bucket. Absent: files are stored in media.storage_dir.',
      example: 'hearth-media',
    }),
    endpoint: z
      .url({ protocol: /^https?$/, error: "expected a URL such as 'https://s3.example.org'" })
      .optional()
      .meta({
        description: "The URL of the store. Absent: Amazon's.",
        example: 'https://s3.example.org',
      }),
    region: text.prefault('us-east-1').describe('The region. Many stores other than Amazon accept any.'),
    prefix: z
      .string()
      .max(500)
      .regex(/^([\w.-]+\/)*$/, "expected folders such as 'hearth/media/', with a slash at the end")
      .prefault('')
      .describe("Text in front of each object's name, such as hearth/media/, to share the bucket with other programs."),
    access_key_id: text.optional().meta({
      description:
        "The access key. Absent: from the environment (AWS_ACCESS_KEY_ID), the AWS configuration files, or the machine's role.",
      example: 'hearth',
    }),
    secret_access_key: text.optional().meta({ description: 'The secret of the access key.', example: 'a secret' }),
    secret_access_key_file: text.optional().meta({
      description: 'A file with the secret of the access key, instead of secret_access_key.',
      example: '/etc/hearth/s3.secret',
    }),
    force_path_style: z.boolean().optional().meta({
      description:
        'Whether the name of the bucket is in the path of URLs (true) or in the host name (false). Absent: true if endpoint is set.',
      example: 'true',
    }),
    server_side_encryption: z.enum(['AES256', 'aws:kms']).optional().meta({
      description: "How the store encrypts objects, AES256 or aws:kms. Absent: the bucket's setting.",
      example: 'AES256',
    }),
    kms_key_id: text.optional().meta({
      description: "The key of aws:kms. Absent: the bucket's.",
      example: 'arn:aws:kms:eu-central-1:111122223333:key/example',
    }),
    cache_size: byteSize.prefault('1G').describe('How much disk space each process uses to cache objects.'),
    cache_dir: text.optional().meta({
      description:
        'The folder of the cache and of unfinished uploads. Absent: media-cache inside data_dir. Processes do not share it.',
      example: '/var/cache/hearth',
    }),
    presigned_redirects: z
      .boolean()
      .prefault(false)
      .describe(
        'Whether clients that allow redirects download directly from the store, by URLs that are valid for 5 minutes. Clients must be able to reach it.',
      ),
  })
  .refine(
    ({ access_key_id: id, secret_access_key: secret, secret_access_key_file: secretFile }) => {
      const secrets = [secret, secretFile].filter((given) => given !== undefined).length
      return secrets === (id === undefined ? 0 : 1)
    },
    {
      message: 'set access_key_id together with either secret_access_key or secret_access_key_file, or none of them',
      path: ['access_key_id'],
    },
  )
  .refine(
    ({ kms_key_id, server_side_encryption }) => kms_key_id === undefined || server_side_encryption === 'aws:kms',
    {
      message: 'a key needs server_side_encryption: aws:kms',
      path: ['kms_key_id'],
    },
  )
  .prefault({})
  .describe('An S3-compatible store for files and thumbnails; docs/media.md describes it.')
