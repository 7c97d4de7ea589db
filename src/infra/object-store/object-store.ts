import type { Readable } from 'node:stream'
import type { StagedFile } from './staged-file.ts'

/** A range of an object: bytes `start` to `end`, inclusive. */
export type ByteRange = { start: number; end: number }

/** The headers with which a presigned URL answers. */
export type PresignedHeaders = { contentType: string; disposition: string; cacheControl: string }

/**
 * Stores the bytes of media. Objects are immutable: a key is written once. The database has their names, so a store
 * needs neither listing nor overwriting. Every process sees all objects. Methods throw StoreUnavailableError while a
 * remote store does not answer.
 */
export type ObjectStore = {
  /** The store in words, for messages to the operator. */
  readonly name: string
  /** A local folder for files before they are stored. */
  readonly stagingFolder: string
  /** Stores a staged file under a new key; durable when it resolves. The staged file is consumed. */
  put(key: string, file: StagedFile): Promise<void>
  /**
   * Returns the bytes of an object, or a range of it; undefined if it does not exist. Destroy the stream to stop early.
   */
  get(key: string, range?: ByteRange): Promise<Readable | undefined>
  /** Returns the size of an object in the store itself, past every cache; undefined if it does not exist. */
  sizeOf(key: string): Promise<number | undefined>
  /** Deletes an object, and what an interrupted `put` left of it; a missing one is not an error. */
  delete(key: string): Promise<void>
  /**
   * Returns a short-lived URL from which clients read an object directly; undefined for an object without one. Absent:
   * the store has none.
   */
  presign?(key: string, headers: PresignedHeaders): Promise<string | undefined>
}
