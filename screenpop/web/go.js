// Posts the one form of its page: the secure link of /o/, or the one-time
// sign-in whose token stands in the fragment and so never reaches a log.
const form = document.querySelector('form[data-go]');
if (form.dataset.go === 'now') {
  form.submit();
} else {
  const token = location.hash.slice(1);
  history.replaceState(null, '', location.pathname);
  if (token) {
    form.elements.token.value = token;
    form.querySelector('button').hidden = false;
    form.submit();
  } else {
    location.replace('/login');
  }
}
