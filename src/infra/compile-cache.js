import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

// What has been compiled once starts sooner the next time, and what strips the types, which takes 18 MiB in each thread, is not even loaded: hence what is
// loaded before this, and this, is plain JavaScript. Where only those who installed Hearth can write: who can change this can change what runs.
enableCompileCache(join(import.meta.dirname, '..', '..', 'node_modules', '.cache', 'hearth', 'compiled'))
