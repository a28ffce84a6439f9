"""One module per figure: its spec (`runs`), its picture (`draw`) and its claims (`claims`)."""
