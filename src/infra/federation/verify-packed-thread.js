import '../compile-cache.js'

// In a thread, too, types need not be stripped again.
await import('./verify-packed.ts')
