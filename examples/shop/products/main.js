// Products: what there is to buy, in PostgreSQL; what was looked at lately, in Redis.
'use strict'

const { log, run, start } = require('../telemetry/telemetry')
const { readFileSync } = require('node:fs')
const { trace } = require('@opentelemetry/api')
const Redis = require('ioredis')
const { Pool } = require('pg')
const { inject } = require('../faults/faults')

const CACHED_SECONDS = 30
const FIRST = [
  ['analytical-engine', 'Analytical Engine', 1_000_000_00],
  ['difference-engine', 'Difference Engine', 500_000_00],
  ['punched-cards', 'Punched cards, 1,000', 12_50],
  ['note-g', 'Note G, a facsimile', 18_43],
]

const password = readFileSync(process.env.DATABASE_PASSWORD_FILE, 'utf8').trim()
// The user, host and database of the URL, and the password of the file.
const { hostname, username, pathname } = new URL(process.env.DATABASE_URL)
const database = new Pool({ host: hostname, user: username, database: pathname.slice(1), password, max: 5 })
const cache = new Redis('redis://redis:6379')
for (const store of [database, cache]) store.on('error', (error) => log('error', error.message))

async function prepare() {
  await database.query(`CREATE TABLE IF NOT EXISTS products (
    id text PRIMARY KEY, name text NOT NULL, cents bigint NOT NULL, stock int NOT NULL)`)
  for (const product of FIRST) {
    await database.query('INSERT INTO products VALUES ($1, $2, $3, 1000000) ON CONFLICT DO NOTHING', product)
  }
}

// What `query` finds, from the cache where it is there.
async function cached(key, query, ...values) {
  const found = await cache.get(key)
  trace.getActiveSpan()?.setAttribute('shop.cache.hit', found !== null)
  if (found !== null) return JSON.parse(found)
  const { rows } = await database.query(query, values)
  await cache.set(key, JSON.stringify(rows), 'EX', CACHED_SECONDS)
  return rows
}

const app = start()

app.get('/products', inject, async (_, response) => {
  response.json({ products: await cached('products', 'SELECT id, name, cents::int FROM products ORDER BY id') })
})

app.get('/products/:id', inject, async (request, response) => {
  const { id } = request.params
  trace.getActiveSpan()?.setAttribute('shop.product.id', id)
  const [product] = await cached(`product:${id}`, 'SELECT id, name, cents::int, stock FROM products WHERE id = $1', id)
  if (!product) return response.status(404).json({ error: 'no such product' })
  response.json(product)
})

app.post('/products/:id/reserve', inject, async (request, response) => {
  const { id } = request.params
  const { quantity } = request.body
  trace.getActiveSpan()?.setAttributes({ 'shop.product.id': id, 'shop.order.quantity': quantity })
  const { rows } = await database.query(
    'UPDATE products SET stock = stock - $2 WHERE id = $1 AND stock >= $2 RETURNING cents::int, stock',
    [id, quantity],
  )
  if (!rows.length) return response.status(409).json({ error: 'no such product, or sold out' })
  await cache.del(`product:${id}`)
  log('info', 'reserved', { product: id, quantity, stock: rows[0].stock })
  response.json({ cents: rows[0].cents * quantity })
})

prepare().then(
  () => run(app),
  (error) => {
    log('error', `cannot start: ${error.message}`, { stack: error.stack })
    process.exit(1)
  },
)
