// Acts for Element Call with the user's matrix-js-sdk client, as Element Web does.
import { EventTimeline, MatrixError } from 'matrix-js-sdk'
import { OpenIDRequestState, WidgetDriver } from 'matrix-widget-api'

/** The Matrix side of a widget in one room. The widget is trusted: it gets every capability that it requests. */
export class CallDriver extends WidgetDriver {
  constructor(client, roomId) {
    super()
    this.client = client
    this.roomId = roomId
  }

  get room() {
    return this.client.getRoom(this.roomId)
  }

  async validateCapabilities(requested) {
    return requested
  }

  async sendEvent(type, content, stateKey) {
    const { roomId } = this
    const { event_id: eventId } =
      stateKey === null
        ? await this.client.sendEvent(roomId, type, content)
        : await this.client.sendStateEvent(roomId, type, content, stateKey)
    return { roomId, eventId }
  }
  async sendStickyEvent(duration, type, content) {
    const { roomId } = this
    const { event_id: eventId } = await this.client._unstable_sendStickyEvent(roomId, duration, null, type, content)
    return { roomId, eventId }
  }
  async sendDelayedEvent(delay, type, content, stateKey) {
    const { roomId } = this
    const { delay_id: delayId } =
      stateKey === null
        ? await this.client._unstable_sendDelayedEvent(roomId, { delay }, null, type, content)
        : await this.client._unstable_sendDelayedStateEvent(roomId, { delay }, type, content, stateKey)
    return { roomId, delayId }
  }
  async sendDelayedStickyEvent(delay, duration, type, content) {
    const { roomId } = this
    const { delay_id: delayId } = await this.client._unstable_sendStickyDelayedEvent(
      roomId,
      duration,
      { delay },
      null,
      type,
      content,
    )
    return { roomId, delayId }
  }
  async cancelScheduledDelayedEvent(delayId) {
    await this.client._unstable_cancelScheduledDelayedEvent(delayId)
  }
  async restartScheduledDelayedEvent(delayId) {
    await this.client._unstable_restartScheduledDelayedEvent(delayId)
  }
  async sendScheduledDelayedEvent(delayId) {
    await this.client._unstable_sendScheduledDelayedEvent(delayId)
  }

  async sendToDevice(type, encrypted, contents) {
    const messages = Object.entries(contents).flatMap(([userId, devices]) =>
      Object.entries(devices).map(([deviceId, payload]) => ({ userId, deviceId, payload })),
    )
    if (!encrypted) return this.client.queueToDevice({ eventType: type, batch: messages })
    // Devices that get the same message are encrypted for at once.
    const recipients = Map.groupBy(messages, ({ payload }) => JSON.stringify(payload))
    for (const [payload, devices] of recipients) {
      await this.client.encryptAndSendToDevice(type, devices, JSON.parse(payload))
    }
  }

  async readRoomState(_roomId, type, stateKey) {
    const state = this.room.getLiveTimeline().getState(EventTimeline.FORWARDS)
    const events = stateKey === undefined ? state.getStateEvents(type) : [state.getStateEvents(type, stateKey)]
    return events.filter(Boolean).map((event) => event.getEffectiveEvent())
  }
  async readRoomTimeline(_roomId, type, msgtype, stateKey, limit) {
    const events = this.room.getLiveTimeline().getEvents().toReversed()
    return events
      .filter((event) => event.getType() === type && !event.isRedacted())
      .filter((event) => stateKey === undefined || event.getStateKey() === stateKey)
      .filter((event) => !msgtype || event.getContent().msgtype === msgtype)
      .slice(0, limit || undefined)
      .map((event) => event.getEffectiveEvent())
  }
  async readStickyEvents() {
    return [...this.room._unstable_getStickyEvents()].map((event) => event.getEffectiveEvent())
  }
  async readEventRelations(eventId, _roomId, relationType, eventType, from, to, limit, dir) {
    const { events, nextBatch, prevBatch } = await this.client.relations(
      this.roomId,
      eventId,
      relationType ?? null,
      eventType ?? null,
      { from, to, limit, dir },
    )
    return { chunk: events.map((event) => event.getEffectiveEvent()), nextBatch, prevBatch }
  }

  async askOpenID(observer) {
    observer.update({ state: OpenIDRequestState.Allowed, token: await this.client.getOpenIdToken() })
  }
  async getRtcTransports() {
    return { rtc_transports: await this.client._unstable_getRTCTransports() }
  }
  getRtcLivekitToken(request) {
    return this.client._unstable_getLivekitToken(request)
  }
  delegateRtcLivekitDelayedLeave(request) {
    return this.client._unstable_delegateDelayedLeave(request)
  }

  processError(error) {
    return error instanceof MatrixError ? { matrix_api_error: error.asWidgetApiErrorData() } : undefined
  }
}
