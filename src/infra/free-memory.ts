/**
 * Frees the memory of a buffer immediately; the buffer is empty from then on. V8 counts buffers as external memory, and
 * collects the whole heap for every 32 MiB or so of them: while files are transferred, that costs more than the
 * transfer. Does nothing to a buffer that is part of a larger one, which others may use.
 */
export function freeMemory({ buffer, byteLength }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0)
}
