// The page: what the API tells, as elements and text. Markup is never made of what others wrote.
'use strict';

const main = document.getElementById('main');
const problem = document.getElementById('problem');
let user = null;

// element('p', { className: 'by' }, 'text', child, …)
function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.filter(child => child != null));
  return made;
}

async function api(method, path, body) {
  const headers = {};
  if (body) headers['Content-Type'] = 'application/json';
  const token = localStorage.getItem('token');
  if (token) headers.Authorization = 'Token ' + token;
  const answer = await fetch('/api/' + path, { method, headers, body: body && JSON.stringify(body) });
  const value = answer.status === 204 ? null : await answer.json();
  if (!answer.ok) throw new Error(value.errors.body.join('\n'));
  return value;
}

// Runs what may fail, and shows why.
async function attempt(work) {
  problem.hidden = true;
  try {
    await work();
  } catch (error) {
    problem.textContent = error.message;
    problem.hidden = false;
  }
}

function go(path) {
  history.pushState(null, '', path);
  return show();
}

function link(path, text, properties) {
  const made = element('a', { href: path, ...properties }, text);
  made.addEventListener('click', event => {
    event.preventDefault();
    go(path);
  });
  return made;
}

function button(text, work, className = 'act') {
  const made = element('button', { type: 'button', className }, text);
  made.addEventListener('click', () => attempt(work));
  return made;
}

// A form of named fields: { name: type }.
function form(id, fields, text, work) {
  const made = element('form', { id });
  for (const [name, type] of Object.entries(fields)) {
    made.append(type === 'area'
      ? element('textarea', { name, placeholder: name, rows: 6 })
      : element('input', { name, type, placeholder: name }));
  }
  made.append(element('button', {}, text));
  made.addEventListener('submit', event => {
    event.preventDefault();
    attempt(() => work(Object.fromEntries(new FormData(made))));
  });
  return made;
}

function by(item) {
  return element('p', { className: 'by' }, item.author.username, ' · ', new Date(item.createdAt).toLocaleDateString());
}

function tagsOf(names) {
  return element('div', { className: 'tags' },
    ...names.map(name => button(name, () => go('/?tag=' + encodeURIComponent(name)), 'tag')));
}

function navigation() {
  document.getElementById('nav').replaceChildren(...(user
    ? [link('/new', 'write'), element('span', { id: 'me' }, user.username), button('leave', () => signIn(null), 'tag')]
    : [link('/login', 'sign in'), link('/register', 'sign up')]));
}

async function signIn(found) {
  user = found;
  if (found) localStorage.setItem('token', found.token);
  else localStorage.removeItem('token');
  navigation();
  await go('/');
}

async function list() {
  const tag = new URLSearchParams(location.search).get('tag');
  const [found, tags] = await Promise.all([
    api('GET', 'articles?limit=20' + (tag ? '&tag=' + encodeURIComponent(tag) : '')),
    api('GET', 'tags'),
  ]);
  const articles = found.articles.map(item => element('article', {},
    element('h2', {}, link('/article/' + item.slug, item.title)), by(item), element('p', {}, item.description), tagsOf(item.tagList)));
  return [tagsOf(tags.tags), ...articles,
    element('p', { id: 'count', className: 'by' }, found.articlesCount + ' articles')];
}

async function article(slug) {
  const [{ article: item }, { comments }] = await Promise.all([
    api('GET', 'articles/' + slug), api('GET', `articles/${slug}/comments`),
  ]);
  const favorite = user && button(`${item.favorited ? '♥' : '♡'} ${item.favoritesCount}`, async () => {
    await api(item.favorited ? 'DELETE' : 'POST', `articles/${slug}/favorite`);
    await show();
  });
  if (favorite) favorite.id = 'favorite';
  const parts = [
    element('h1', {}, item.title), by(item), element('div', { className: 'text', id: 'text' }, item.body), tagsOf(item.tagList), favorite ?? '',
    ...comments.map(comment => element('article', { className: 'comment' }, element('div', { className: 'text' }, comment.body), by(comment)))];
  if (user) {
    parts.push(form('comment', { body: 'area' }, 'comment', async value => {
      await api('POST', `articles/${slug}/comments`, { comment: value });
      await show();
    }));
  }
  return parts;
}

async function content() {
  const [, part, name] = location.pathname.split('/');
  if (part === 'login') {
    return [form('login', { email: 'email', password: 'password' }, 'sign in',
      async value => signIn((await api('POST', 'users/login', { user: value })).user))];
  }
  if (part === 'register') {
    return [form('register', { username: 'text', email: 'email', password: 'password' }, 'sign up',
      async value => signIn((await api('POST', 'users', { user: value })).user))];
  }
  if (part === 'new') {
    return [form('new', { title: 'text', description: 'text', body: 'area', tags: 'text' }, 'publish', async value => {
      const tagList = value.tags.split(' ').filter(tag => tag);
      const made = await api('POST', 'articles', { article: { ...value, tagList } });
      await go('/article/' + made.article.slug);
    })];
  }
  return part === 'article' ? article(name) : list();
}

let shown = 0;

// What comes late, when something else is shown already, is dropped.
async function show() {
  const mine = ++shown;
  await attempt(async () => {
    const parts = await content();
    if (mine === shown) main.replaceChildren(...parts);
  });
}

window.addEventListener('popstate', show);
(async () => {
  if (localStorage.getItem('token')) {
    try {
      user = (await api('GET', 'user')).user;
    } catch {
      localStorage.removeItem('token');
    }
  }
  navigation();
  await show();
})();
