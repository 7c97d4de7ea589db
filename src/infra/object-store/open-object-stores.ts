import type { Config } from '../../config.ts'
import type { Logger } from '../logger.ts'
import { createDiskStore } from './disk.ts'
import type { ObjectStore } from './object-store.ts'
import type { ObjectStores } from './object-stores.ts'

/** Opens the configured stores of files, the folder and perhaps a bucket, without a request to it. */
export async function openObjectStores(config: Config['media'], logger: Logger): Promise<ObjectStores> {
  const s3 = config.s3 && (await openBucket(config.s3, logger))
  return { current: config.store, disk: createDiskStore(config.storage_dir), s3 }
}

async function openBucket(s3: NonNullable<Config['media']['s3']>, logger: Logger): Promise<ObjectStore> {
  // Loaded only where it is used: the SDK takes 25 MiB.
  const { createS3Store } = await import('./s3.ts')
  const { access_key_id: accessKeyId, secret_access_key: secretAccessKey } = s3
  return createS3Store(
    {
      endpoint: s3.endpoint,
      region: s3.region,
      bucket: s3.bucket,
      prefix: s3.prefix,
      credentials:
        accessKeyId === undefined || secretAccessKey === undefined ? undefined : { accessKeyId, secretAccessKey },
      forcePathStyle: s3.force_path_style,
      encryption: {
        ...(s3.server_side_encryption && { ServerSideEncryption: s3.server_side_encryption }),
        ...(s3.kms_key_id !== undefined && { SSEKMSKeyId: s3.kms_key_id }),
      },
      presignedRedirects: s3.presigned_redirects,
      cache: { folder: s3.cache_dir, maxBytes: s3.cache_size },
    },
    logger,
  )
}
