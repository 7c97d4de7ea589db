import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import type { Socket } from 'node:net'
import { freeMemory } from '../free-memory.ts'

/** Returns agents for large answers: Node copies what a socket receives, and the received bytes are freed at once. */
export function createFreeingAgents(maxSockets: number): { httpAgent: HttpAgent; httpsAgent: HttpsAgent } {
  const options = { keepAlive: true, maxSockets }
  return { httpAgent: freeing(new HttpAgent(options)), httpsAgent: freeing(new HttpsAgent(options)) }
}

function freeing<Agent extends HttpAgent>(agent: Agent): Agent {
  const connect = agent.createConnection.bind(agent)
  agent.createConnection = (...given) => {
    const socket = connect(...given) as Socket
    // After the listeners of this chunk, of which the parser is one.
    return socket.on('data', (chunk: Buffer) => queueMicrotask(() => freeMemory(chunk)))
  }
  return agent
}
