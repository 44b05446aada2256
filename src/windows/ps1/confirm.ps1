# The change stays: nothing undoes it any more. The old certificate stays in its store.
Send-Reply (Invoke-Alone {
    $journal = Read-Journal
    if (-not $journal -or $journal.id -cne $request.id) { throw 'gone|' }
    $now = Get-Use $journal.use
    if ($now.thumbprint -ne $journal.new.thumbprint) { throw 'stale|' }
    $journal.state = 'confirmed'
    Write-Journal $journal
    Clear-Journal
    @{ done = $true }
})
