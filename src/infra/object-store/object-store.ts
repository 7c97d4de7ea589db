import type { Readable } from 'node:stream'
import type { StagedFile } from './staged-file.ts'

/** A part of an object: bytes `start` to `end`, both included. */
export type ByteRange = { start: number; end: number }

/**
 * Where the bytes of media are kept. Objects never change: a key is written once, and names are kept in the database, so that a store needs no
 * listing and no overwriting. Every process sees what any process has put.
 */
export type ObjectStore = {
  /** A folder of this machine for files on their way into the store. */
  readonly stagingFolder: string
  /** Stores a staged file under a new key; durable when it resolves. The file is used up then. */
  put(key: string, file: StagedFile): Promise<void>
  /** The bytes of an object, or of a range inside it; undefined when there is no such object. Destroy the stream to stop early. */
  get(key: string, range?: ByteRange): Promise<Readable | undefined>
  /** Deletes an object; one that is not there is fine. */
  delete(key: string): Promise<void>
}
