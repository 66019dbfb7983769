// Does what the header X-Fault asks for, to see what the stack shows of it. Never in production.
'use strict'

const { setTimeout } = require('node:timers/promises')
const { context, propagation, trace, SpanStatusCode } = require('@opentelemetry/api')
const { log } = require('../telemetry/telemetry')

const BYTES = { KiB: 2 ** 10, MiB: 2 ** 20 }
const leaked = []

// Before a route: does what the baggage wants of this service, `<service>=<kind>[:<value>]`, several by comma.
async function inject(request, response, next) {
  const asked = propagation.getBaggage(context.active())?.getEntry('fault')?.value ?? ''
  for (const fault of process.env.SHOP_FAULTS === 'on' ? asked.split(',') : []) {
    const [service, what = ''] = fault.trim().split('=')
    const [kind, value] = what.split(':')
    if (service === process.env.OTEL_SERVICE_NAME && (await happen(kind, value, response))) return
  }
  next()
}

// Tells whether the request has been answered.
async function happen(kind, value, response) {
  if (kind === 'latency') {
    await setTimeout(parseFloat(value) * (value.endsWith('ms') ? 1 : 1000))
  } else if (kind === 'error') {
    const error = new Error('injected fault: error')
    log('error', error.message)
    trace.getActiveSpan()?.recordException(error)
    trace.getActiveSpan()?.setStatus({ code: SpanStatusCode.ERROR, message: error.message })
    response.status(500).json({ error: 'injected' })
    return true
  } else if (kind === 'panic') {
    throw new Error('injected fault: panic')
  } else if (kind === 'leak') {
    leaked.push(Buffer.alloc(parseInt(value) * BYTES[value.slice(-3)], 1)) // written, so that it counts
  } else if (kind === 'logburst') {
    for (let line = 0; line < parseInt(value); line++) log('info', 'injected fault: log burst', { line })
  }
  return false
}

module.exports = { inject }
