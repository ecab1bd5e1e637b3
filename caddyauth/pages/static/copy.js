// Shows the buttons that copy a text, and makes them work. Pages are complete without them.
for (const button of document.querySelectorAll('button[data-copy]')) {
	const label = button.textContent
	const say = text => {
		button.textContent = text
		setTimeout(() => { button.textContent = label }, 2000)
	}
	button.hidden = false
	button.setAttribute('aria-live', 'polite')
	button.addEventListener('click', async () => {
		const source = document.getElementById(button.dataset.copy)
		try {
			await navigator.clipboard.writeText(source.textContent)
			say('Copied')
		} catch { // on a page without TLS there is no clipboard
			getSelection().selectAllChildren(source)
			say('Selected: press Ctrl+C')
		}
	})
}
