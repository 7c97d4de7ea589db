import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readBounded } from '../http/read-bounded.ts'

/**
 * Formats of videos with thumbnails, by the type that the content shows, and ffmpeg's name of each. None of them lets a
 * file name other files or addresses that ffmpeg opens, as playlists do.
 */
export const VIDEO_FORMATS: ReadonlyMap<string, string> = new Map([
  ...['video/mp4', 'video/quicktime', 'video/x-m4v', 'video/3gpp', 'video/3gpp2'].map((type) => [type, 'mov'] as const),
  ...['video/webm', 'video/matroska'].map((type) => [type, 'matroska'] as const),
  ['video/ogg', 'ogg'],
])

const CPU_SECONDS = 10
const MEMORY_KIB = 2 * 1024 ** 2
const MAX_FRAME_BYTES = 32 * 1024 ** 2
/** The ffmpeg program itself replaces the shell. Systems that do not know a limit, such as macOS, go on without it. */
const LIMITED = `ulimit -t ${CPU_SECONDS}; ulimit -v ${MEMORY_KIB} 2>/dev/null; ulimit -f 0; ulimit -c 0; exec "$@"`
const NICENESS = '10'

/** A local file of a video, and its type as detected from the content. */
type Video = { path: string; type: string }
type FrameLimits = { maxPixels: number; timeMs?: number }

/**
 * Returns the first frame of a video, upright, as a JPEG of up to `maxPixels`. Throws if ffmpeg fails, or uses too much
 * time, processor time or memory, in which case it is killed. It gets no environment, and can neither write files nor
 * open connections or other files that the video names.
 */
export async function grabFrame(
  ffmpeg: string,
  { path, type }: Video,
  { maxPixels, timeMs = 20_000 }: FrameLimits,
): Promise<Buffer> {
  const format = VIDEO_FORMATS.get(type)
  if (format === undefined) throw new Error(`${type} is not a video`)
  const input = ['-protocol_whitelist', 'file', '-format_whitelist', format, '-f', format, '-i', `file:${path}`]
  const output = ['-map', '0:v:0', '-frames:v', '1', '-an', '-sn', '-dn', '-map_metadata', '-1']
  const args = [
    ...['-nostdin', '-hide_banner', '-loglevel', 'error', '-threads', '1', '-max_pixels', String(maxPixels)],
    ...input,
    ...output,
    ...['-threads', '1', '-c:v', 'mjpeg', '-q:v', '3', '-pix_fmt', 'yuvj420p', '-f', 'image2pipe', 'pipe:1'],
  ]
  return outputOf(['nice', '-n', NICENESS, ffmpeg, ...args], timeMs)
}

async function outputOf(command: readonly string[], timeMs: number): Promise<Buffer> {
  const child = spawn('/bin/sh', ['-c', LIMITED, 'sh', ...command], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: '/usr/bin:/bin' },
    signal: AbortSignal.timeout(timeMs),
    killSignal: 'SIGKILL',
  })
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  // `ended` has the first error; further ones must not end Hearth.
  child.on('error', () => {})
  let complaint = ''
  child.stderr.on('data', (chunk: Buffer) => {
    complaint = `${complaint}${chunk.toString('latin1')}`.slice(0, 500)
  })
  try {
    const [frame, [code, signal]] = await Promise.all([readBounded(child.stdout, MAX_FRAME_BYTES), ended])
    if (code === 0 && frame.length > 0) return frame
    throw new Error(`ffmpeg ended with ${signal ?? code}: ${complaint.trim() || 'no frame'}`)
  } finally {
    child.kill('SIGKILL')
    await ended.catch(() => {})
  }
}
