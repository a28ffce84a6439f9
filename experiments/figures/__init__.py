"""One module per figure: its spec (`runs`), picture (`draw`), `caption`, claims (`verdicts`)."""
