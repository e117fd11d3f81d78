// Turns the table of the page into a grid: rows are fetched in blocks as they are
// scrolled to, sorted and filtered by the server, and change as orders do.
'use strict';

(() => {
  const money = new Intl.NumberFormat(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const clock = new Intl.DateTimeFormat(undefined, { dateStyle: 'short', timeStyle: 'medium' });
  const moment = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3, hour12: false });
  const amount = (p) => (p.value == null ? '' : money.format(p.value));
  const when = (p) => (p.value == null ? '' : clock.format(new Date(p.value)));
  const columns = [
    { field: 'created', headerName: 'Placed', valueFormatter: when, width: 200, sort: 'desc' },
    { field: 'id', headerName: 'Order', width: 180, cellRenderer: orderLink },
    { field: 'state', headerName: 'State', width: 115, cellClass: (p) => ['state', p.value].filter(Boolean) },
    { field: 'customer', headerName: 'Customer', width: 150 },
    { field: 'customerId', headerName: 'Customer no.', width: 130, hide: true },
    { field: 'level', headerName: 'Level', width: 110 },
    { field: 'product', headerName: 'Product', width: 150 },
    { field: 'quantity', headerName: 'Quantity', width: 110, type: 'rightAligned' },
    { field: 'price', headerName: 'Price', width: 110, type: 'rightAligned', valueFormatter: amount },
    { field: 'total', headerName: 'Total', width: 120, type: 'rightAligned', valueFormatter: amount },
    { field: 'paid', headerName: 'Paid', width: 120, type: 'rightAligned', valueFormatter: amount },
    { field: 'reasons', headerName: 'Reasons', width: 260, sortable: false, valueFormatter: (p) => (p.value || []).join('; ') },
    { field: 'updated', headerName: 'Changed', valueFormatter: when, width: 200, hide: true },
    { field: 'version', headerName: 'Version', width: 100, type: 'rightAligned', hide: true },
  ];

  const place = document.getElementById('grid');
  const status = document.getElementById('status');
  const filters = document.getElementById('filters');
  let total = 0;
  let live = 'connecting';

  function orderLink(p) {
    if (!p.value) return '';
    const a = document.createElement('a');
    a.href = '/orders/' + encodeURIComponent(p.value);
    a.textContent = p.value; // text, never markup
    a.tabIndex = -1; // Enter on the cell opens the story
    return a;
  }

  // address of a block of rows
  function address(offset, limit, sort) {
    const form = new FormData(filters);
    const q = new URLSearchParams({ offset, limit });
    for (const name of ['q', 'state', 'level']) if (form.get(name)) q.set(name, form.get(name));
    if (sort) q.set('sort', sort);
    return '/api/rows?' + q;
  }

  const source = {
    getRows(p) {
      const s = p.sortModel[0];
      fetch(address(p.startRow, p.endRow - p.startRow, s && (s.sort === 'desc' ? '-' : '') + s.colId))
        .then((r) => (r.ok ? r.json() : Promise.reject(new Error(r.status))))
        .then((got) => {
          total = got.total;
          tell();
          if (total) grid.hideOverlay();
          else grid.showNoRowsOverlay();
          p.successCallback(got.rows, got.total);
        })
        .catch(() => {
          p.failCallback();
          setTimeout(refresh, 1000);
        });
    },
  };

  function tell() {
    status.textContent = `${total.toLocaleString()} orders, ${live}`;
  }

  document.getElementById('table').hidden = true;
  place.hidden = false;
  const dark = matchMedia('(prefers-color-scheme: dark)');
  document.body.dataset.agThemeMode = dark.matches ? 'dark' : 'light';
  dark.addEventListener('change', () => { document.body.dataset.agThemeMode = dark.matches ? 'dark' : 'light'; });
  const grid = agGrid.createGrid(place, {
    theme: agGrid.themeQuartz
      .withParams({ accentColor: '#0550ae' }, 'light')
      .withParams({ backgroundColor: '#0d1117', foregroundColor: '#e6edf3', browserColorScheme: 'dark', accentColor: '#79c0ff' }, 'dark'),
    columnDefs: columns,
    defaultColDef: { resizable: true, sortable: true, suppressHeaderMenuButton: true, enableCellChangeFlash: false },
    rowModelType: 'infinite',
    datasource: source,
    cacheBlockSize: 100,
    maxBlocksInCache: 5, // a refresh asks for each of them
    maxConcurrentDatasourceRequests: -1, // no limit: one that is scrolled away from mustn't keep the next from starting
    blockLoadDebounceMillis: 20,
    getRowId: (p) => p.data.id,
    rowHeight: 32,
    multiSortKey: null,
    suppressMultiSort: true,
    suppressCellFocus: false,
    ensureDomOrder: true,
    onRowClicked: (e) => { if (e.data && !e.event.ctrlKey && !e.event.metaKey) { e.event.preventDefault(); story(e.data.id); } },
    onCellKeyDown: (e) => { if (e.event.key === 'Enter' && e.data) story(e.data.id); },
    overlayNoRowsTemplate: '<span>No orders</span>',
    onFirstDataRendered: () => performance.mark('rows'),
    onGridReady: () => { place.setAttribute('aria-label', 'Orders'); },
  });
  window.ordersGrid = grid; // for those who try things in the console

  // Filters: at once, not on submit.
  let soon;
  filters.addEventListener('submit', (e) => { e.preventDefault(); grid.purgeInfiniteCache(); });
  filters.addEventListener('input', (e) => {
    if (e.target.closest('#columns')) return;
    clearTimeout(soon);
    soon = setTimeout(() => { if (grid.getDisplayedRowCount()) grid.ensureIndexVisible(0); grid.purgeInfiniteCache(); }, 150);
  });
  filters.querySelector('button').hidden = true;

  // Which columns are shown, remembered by the browser.
  const chooser = document.getElementById('columns');
  const remembered = JSON.parse(localStorage.getItem('columns') || '{}');
  for (const c of columns) {
    if (c.field in remembered) grid.setColumnsVisible([c.field], remembered[c.field]);
    const label = document.createElement('label');
    const box = document.createElement('input');
    box.type = 'checkbox';
    box.checked = c.field in remembered ? remembered[c.field] : !c.hide;
    box.addEventListener('change', () => {
      grid.setColumnsVisible([c.field], box.checked);
      remembered[c.field] = box.checked;
      localStorage.setItem('columns', JSON.stringify(remembered));
    });
    label.append(box, c.headerName);
    chooser.querySelector('fieldset').append(label);
  }
  chooser.hidden = false;
  chooser.addEventListener('keydown', (e) => {
    if (e.key === 'Escape') { chooser.open = false; chooser.querySelector('summary').focus(); }
  });
  document.addEventListener('click', (e) => { if (!chooser.contains(e.target)) chooser.open = false; });

  // Live: a row that is loaded changes in place and its changed cells flash; one
  // that isn't makes the view ask again: at once, but not more often than every
  // refreshTime ms.
  const refreshTime = 150;
  let refreshed = 0;
  let soonAgain;
  function refresh() {
    soonAgain ??= setTimeout(() => {
      soonAgain = undefined;
      refreshed = performance.now();
      grid.refreshInfiniteCache();
    }, Math.max(0, refreshed + refreshTime - performance.now()));
  }
  const waiting = new Map(); // by order: who wants to see its next row
  function changed(rows) {
    for (const row of rows) {
      waiting.get(row.id)?.(row);
      offer(row);
      const node = grid.getRowNode(row.id);
      if (!node) { refresh(); continue; }
      const before = node.data;
      if (!before || before.version > row.version) continue;
      node.setData(row);
      const cells = Object.keys(row).filter((k) => String(row[k]) !== String(before[k]) && k !== 'updated');
      if (cells.length) grid.flashCells({ rowNodes: [node], columns: cells });
    }
  }
  // A state or level that wasn't there when the page was made can be chosen too.
  function offer(row) {
    for (const name of ['state', 'level']) {
      const choice = filters.elements[name];
      if (row[name] && ![...choice.options].some((o) => o.value === row[name])) choice.append(new Option(row[name], row[name]));
    }
  }
  // After a time without changes: what is waited for may have come.
  async function askAgain() {
    for (const [id, tell] of [...waiting]) {
      const r = await fetch('/api/rows/' + encodeURIComponent(id)).catch(() => undefined);
      if (r?.ok) tell(await r.json());
    }
  }
  const changes = new EventSource('/api/changes');
  changes.addEventListener('change', (e) => {
    const c = JSON.parse(e.data);
    if (c.gone) refresh();
    if (c.rows) changed(c.rows);
    if (c.told?.includes(told)) story(told);
  });
  changes.addEventListener('reset', () => { refresh(); askAgain(); });
  changes.addEventListener('open', () => { live = 'live'; tell(); });
  changes.addEventListener('error', () => { live = 'connecting again'; tell(); });

  // An order's story.
  const dialog = document.getElementById('story');
  let told; // the order whose story is open
  dialog.addEventListener('close', () => { told = undefined; });
  async function story(id) {
    const body = document.getElementById('story-body');
    if (told !== id) {
      document.getElementById('story-title').textContent = 'Order ' + id;
      body.replaceChildren('…');
    }
    told = id;
    if (!dialog.open) dialog.showModal();
    const r = await fetch(`/api/rows/${encodeURIComponent(id)}/story`).catch(() => undefined);
    if (told !== id) return; // another is open by now
    if (!r?.ok) { body.replaceChildren('The story can’t be had now.'); return; }
    const { events } = await r.json();
    const scroll = document.createElement('div');
    scroll.className = 'scroll';
    scroll.tabIndex = 0;
    scroll.setAttribute('role', 'region');
    scroll.setAttribute('aria-label', 'Events of the order');
    const table = document.createElement('table');
    const head = table.createTHead().insertRow();
    for (const t of ['Time', 'Topic', 'Partition', 'Offset', 'Record']) {
      const th = document.createElement('th');
      th.scope = 'col';
      th.textContent = t;
      head.append(th);
    }
    const rows = table.createTBody();
    for (const e of events) {
      const row = rows.insertRow();
      const code = document.createElement('code');
      code.textContent = JSON.stringify(e.value);
      for (const v of [moment.format(new Date(e.time)), e.topic, e.partition, e.offset, code]) row.insertCell().append(v);
    }
    scroll.append(table);
    body.replaceChildren(events.length ? scroll : 'Nothing has been told of it yet.');
  }

  // Place an order, and follow it to its final state.
  const form = document.getElementById('place');
  const placed = document.getElementById('placed');
  form.addEventListener('submit', async (e) => {
    e.preventDefault();
    const f = new FormData(form);
    const number = (name) => (f.get(name).trim() !== '' && isFinite(f.get(name)) ? Number(f.get(name)) : f.get(name));
    const id = crypto.randomUUID ? crypto.randomUUID() : 'web-' + Date.now() + '-' + Math.random().toString(36).slice(2);
    const began = performance.now();
    const final = new Promise((done) => {
      waiting.set(id, (row) => { if (row.state !== 'CREATED') { waiting.delete(id); done(row); } });
    });
    placed.textContent = 'Placing…';
    // The price goes as it was written: 0.10 is no float.
    const body = JSON.stringify({ id, customerId: number('customerId'), product: f.get('product'), quantity: number('quantity'), price: 0 })
      .replace(/"price":0}$/, '"price":' + (/^-?\d+(\.\d+)?$/.test(f.get('price').trim()) ? f.get('price').trim() : JSON.stringify(f.get('price'))) + '}');
    try {
      const r = await fetch('/api/orders', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body });
      const answer = await r.json();
      if (!r.ok) {
        waiting.delete(id);
        placed.textContent = [answer.detail, ...(answer.errors || []).map((x) => `${x.field}: ${x.detail}.`)].join(' ');
        return;
      }
      placed.textContent = `Order ${id} is placed; its checks are under way…`;
      const row = await final;
      placed.textContent = `Order ${id} is ${row.state} after ${Math.round(performance.now() - began)} ms` + (row.reasons.length ? ': ' + row.reasons.join('; ') : '.');
    } catch {
      waiting.delete(id);
      placed.textContent = 'The orders API doesn’t answer. Send the order again.';
    }
  });
})();
