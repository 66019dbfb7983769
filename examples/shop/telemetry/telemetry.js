// All that a Node.js service needs to be seen: docs/instrumentation/nodejs.md explains it, step by step.
// It is required before anything else, because what is loaded earlier is not instrumented.
'use strict'

const { trace } = require('@opentelemetry/api')
const { OTLPTraceExporter } = require('@opentelemetry/exporter-trace-otlp-proto')
const { registerInstrumentations } = require('@opentelemetry/instrumentation')
const { ExpressInstrumentation, ExpressLayerType } = require('@opentelemetry/instrumentation-express')
const { HttpInstrumentation } = require('@opentelemetry/instrumentation-http')
const { IORedisInstrumentation } = require('@opentelemetry/instrumentation-ioredis')
const { PgInstrumentation } = require('@opentelemetry/instrumentation-pg')
const { defaultResource, detectResources, envDetector } = require('@opentelemetry/resources')
const { BatchSpanProcessor, NodeTracerProvider } = require('@opentelemetry/sdk-trace-node')

// No traffic: nobody wants traces, metrics and logs of these.
const UNSEEN = ['/healthz', '/metrics']

const tracing = new NodeTracerProvider({
  resource: defaultResource().merge(detectResources({ detectors: [envDetector] })),
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
})
tracing.register() // with W3C trace context and baggage
registerInstrumentations({
  instrumentations: [
    new HttpInstrumentation({ ignoreIncomingRequestHook: (request) => UNSEEN.includes(request.url) }),
    // For the route's name; a span for each of its layers says nothing more.
    new ExpressInstrumentation({ ignoreLayersType: Object.values(ExpressLayerType) }),
    new PgInstrumentation(),
    new IORedisInstrumentation(),
  ],
})

const express = require('express')
const prometheus = require('prom-client')

// Exemplars exist in the OpenMetrics format only.
prometheus.register.setContentType(prometheus.Registry.OPENMETRICS_CONTENT_TYPE)
prometheus.collectDefaultMetrics()
const duration = new prometheus.Histogram({
  name: 'http_server_request_duration_seconds',
  help: 'Time until the answer was written.',
  labelNames: ['http_request_method', 'http_route', 'http_response_status_code'],
  buckets: [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10],
  enableExemplars: true,
})
const active = new prometheus.Gauge({
  name: 'http_server_active_requests',
  help: 'Requests under way.',
  labelNames: ['http_request_method'],
})

// Writes one JSON object on a line, with the ids of the current span.
function log(level, message, fields = {}) {
  const line = { time: new Date().toISOString(), level, message, service: process.env.OTEL_SERVICE_NAME, ...fields }
  const span = trace.getActiveSpan()?.spanContext()
  if (span) Object.assign(line, { trace_id: span.traceId, span_id: span.spanId })
  process.stdout.write(JSON.stringify(line) + '\n')
}

// Counts and times each request.
function observed(request, response, next) {
  if (UNSEEN.includes(request.path)) return next()
  const begun = performance.now()
  const method = { http_request_method: request.method }
  const traceId = trace.getActiveSpan()?.spanContext().traceId
  if (traceId) response.set('X-Trace-Id', traceId)
  active.inc(method)
  response.once('close', () => {
    const seconds = (performance.now() - begun) / 1000
    const route = request.route?.path ?? ''
    const labels = { ...method, http_route: route, http_response_status_code: response.statusCode }
    active.dec(method)
    duration.observe({ labels, value: seconds, exemplarLabels: traceId ? { trace_id: traceId } : {} })
    log('info', `${request.method} ${route}`, { status: response.statusCode, duration_ms: Math.round(seconds * 1000) })
  })
  next()
}

// Answers 500 where a handler throws. Express knows it by its four arguments.
function failed(error, request, response, next) {
  log('error', `unhandled: ${error.message}`, { stack: error.stack })
  trace.getActiveSpan()?.recordException(error)
  response.status(500).json({ error: 'internal' })
}

// An application which serves /metrics and /healthz.
function start() {
  const app = express()
  app.disable('x-powered-by')
  app.use(observed, express.json())
  app.get('/healthz', (_, response) => response.json({}))
  app.get('/metrics', async (_, response) => {
    // Written as it is: Express would add a character set that is there already.
    response.writeHead(200, { 'Content-Type': prometheus.register.contentType })
    response.end(await prometheus.register.metrics())
  })
  return app
}

// Serves on port 8000 until SIGTERM; then it answers what is under way, and sends the spans that still wait.
function run(app) {
  app.use(failed)
  const server = app.listen(8000, () => log('info', 'ready'))
  process.once('SIGTERM', () => {
    server.close(() => tracing.shutdown().finally(() => process.exit(0)))
    server.closeIdleConnections()
  })
}

module.exports = { log, run, start }
