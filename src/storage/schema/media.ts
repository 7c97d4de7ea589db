import type { ServerName, UserId } from '../../core/ids.ts'

/** Tables of media: `migrations/0004_media.sql`. */
export type MediaTables = {
  media_files: {
    sha256: string
    size: number
    object_key: string
    detected_type: string | null
    created_ts: number
  }
  media: MediaRow
  media_thumbnails: ThumbnailRow
  url_previews: UrlPreviewRow
  pending_objects: { object_key: string; since_ts: number; is_deleting: boolean }
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
}

export type ThumbnailRow = {
  sha256: string
  width: number
  height: number
  method: 'crop' | 'scale'
  animated: boolean
  object_key: string | null
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
