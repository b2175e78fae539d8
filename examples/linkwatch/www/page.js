// Shows each state that the service sends. Names come from strangers (aliases, networks, stations): all of it is text, nothing markup.
'use strict'

const SAMPLES = 60
const histories = new Map()

const element = (name, text, style) => {
  const made = document.createElement(name)
  if (text !== undefined) made.textContent = text
  if (style) made.className = style
  return made
}

const row = cells => {
  const made = element('tr')
  for (const cell of cells) {
    if (cell instanceof Element) made.append(cell)
    else made.append(element('td', cell ?? '–', 'number'))
  }
  return made
}

const named = (name, detail) => {
  const cell = element('td')
  cell.append(element('span', name, 'name'))
  if (detail) cell.append(element('small', detail))
  return cell
}

const scaled = (value, units, base) => {
  let at = 0
  while (value >= base && at < units.length - 1) { value /= base; at++ }
  return (value < 10 && at ? value.toFixed(1) : Math.round(value)) + ' ' + units[at]
}
const rate = bytes => bytes === undefined ? '–' : scaled(bytes * 8, ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s'], 1000)
const amount = bytes => scaled(bytes, ['B', 'KiB', 'MiB', 'GiB', 'TiB'], 1024)

const traffic = (bytesPerSecond, bytes) => {
  const cell = element('td', rate(bytesPerSecond), 'number')
  cell.append(element('small', amount(bytes)))
  return cell
}

const drawing = points => {
  const space = 'http://www.w3.org/2000/svg'
  const image = document.createElementNS(space, 'svg')
  image.setAttribute('viewBox', `0 0 ${SAMPLES - 1} 100`)
  image.setAttribute('preserveAspectRatio', 'none')
  const most = Math.max(1, ...points.flatMap(point => [point.in, point.out]))
  for (const way of ['in', 'out']) {
    const line = document.createElementNS(space, 'polyline')
    const start = SAMPLES - points.length
    line.setAttribute('class', way)
    line.setAttribute('points', points.map((point, at) => `${start + at},${98 - 96 * point[way] / most}`).join(' '))
    image.append(line)
  }
  const cell = element('td')
  cell.append(image)
  return cell
}

const remember = link => {
  const points = histories.get(link.index) ?? []
  points.push({ in: link.rx_rate ?? 0, out: link.tx_rate ?? 0 })
  if (points.length > SAMPLES) points.shift()
  histories.set(link.index, points)
  return points
}

const show = state => {
  const gone = new Set(histories.keys())
  document.getElementById('links').replaceChildren(...state.links.map(link => {
    gone.delete(link.index)
    const addresses = element('td')
    for (const address of link.addresses) addresses.append(element('div', address))
    const up = link.up && link.running
    return row([
      named(link.name, link.alias ?? [link.kind, link.mac].filter(Boolean).join(', ')),
      element('td', up ? 'up' : link.up ? 'no carrier' : 'down', up ? 'state up' : 'state'),
      addresses, traffic(link.rx_rate, link.rx_bytes), traffic(link.tx_rate, link.tx_bytes), drawing(remember(link)),
    ])
  }))
  for (const index of gone) histories.delete(index)
  document.getElementById('wifi').hidden = state.stations.length == 0
  document.getElementById('stations').replaceChildren(...state.stations.map(station => row([
    named(station.mac, station.ifname),
    element('td', station.ssid ?? ''),
    station.signal === undefined ? '–' : station.signal + ' dBm',
    traffic(station.rx_rate, station.rx_bytes), traffic(station.tx_rate, station.tx_bytes),
    [station.rx_mbit, station.tx_mbit].filter(value => value !== undefined).join(' / ') + ' Mbit/s',
  ])))
}

const live = document.getElementById('live')
const tell = (text, on) => {
  live.textContent = text
  live.className = on ? 'on' : ''
}
// The browser comes again by itself when the service is gone for a while; only an answer that is no stream ends that.
const connect = () => {
  const source = new EventSource('events')
  source.addEventListener('state', event => {
    tell('live', true)
    show(JSON.parse(event.data))
  })
  source.onerror = () => {
    tell('connecting', false)
    if (source.readyState == EventSource.CLOSED) setTimeout(connect, 10000)
  }
}
connect()
