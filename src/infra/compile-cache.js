import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

// Code that was compiled once starts sooner the next time, and the type stripper, which takes 18 MiB in each thread, is
// not loaded at all. So this file, and all that are loaded before it, are plain JavaScript. The cache is in a folder
// that only the user who installed Hearth can write: a user who can change it can change the code that runs.
enableCompileCache(join(import.meta.dirname, '..', '..', 'node_modules', '.cache', 'hearth', 'compiled'))
