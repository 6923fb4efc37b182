"""The homes of those who stand in a store: the store manager's and the adviser's. Everybody else starts with
`hetang.console.start`."""
