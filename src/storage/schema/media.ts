import type { Generated } from 'kysely'
import type { ServerName, UserId } from '../../core/ids.ts'

/** A place for objects: the folder `media.storage_dir`, or the bucket `media.s3.bucket`. */
export type StoreName = 'disk' | 's3'

/** An object, and the store that has it. */
export type StoredObject = { objectKey: string; store: StoreName }

/** Tables of media: `migrations/0004_media.sql`. */
export type MediaTables = {
  media_files: {
    sha256: string
    size: number
    object_key: string
    store: StoreName
    detected_type: string | null
    created_ts: number
    is_scanned: Generated<boolean>
  }
  media: MediaRow
  media_content_rules: ContentRuleRow
  media_quarantined_servers: { server_name: ServerName; set_by: string; reason: string | null; set_ts: number }
  media_thumbnails: ThumbnailRow
  url_previews: UrlPreviewRow
  pending_objects: { object_key: string; store: StoreName; since_ts: number; is_deleting: boolean }
}

export type MediaRow = {
  server_name: ServerName
  media_id: string
  uploader: UserId | null
  sha256: string | null
  content_type: string
  filename: string | null
  created_ts: number
  expires_ts: number | null
  accessed_ts: number | null
  file_size: number | null
  quarantined_by: string | null
  is_protected: Generated<boolean>
  refused_sha256: string | null
}

export type ContentRuleRow = {
  sha256: string
  verdict: 'quarantine' | 'deny'
  set_by: string
  reason: string | null
  set_ts: number
}

export type ThumbnailRow = {
  sha256: string
  width: number
  height: number
  method: 'crop' | 'scale'
  animated: boolean
  object_key: string | null
  store: StoreName | null
  content_type: string
  size: number
}

export type UrlPreviewRow = {
  key: string
  preview: string | null
  expires_ts: number
  lease_holder: string | null
  lease_until_ts: number | null
}
