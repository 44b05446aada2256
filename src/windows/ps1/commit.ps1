# Arms the task anew, and points the reference at the new certificate.
Send-Reply (Invoke-Alone {
    $journal = Read-Journal
    if (-not $journal -or $journal.id -cne $request.id) { throw 'gone|' }
    $now = Get-Use $journal.use
    if ($now.thumbprint -eq $journal.new.thumbprint) {
        $journal.state = 'switched'
        Write-Journal $journal
        return @{ done = $true }
    }
    if ($now.thumbprint -ne $journal.old.thumbprint -or $now.rest -cne $journal.old.rest) { throw 'stale|' }
    Set-Task $request.within
    $journal.state = 'switching'
    $journal.until = [int64]((Get-Date).ToUniversalTime() - [datetime]'1970-01-01').TotalSeconds + $request.within
    Write-Journal $journal
    try {
        Set-Use $journal.use $journal.new.thumbprint $journal.new.store $request.hostname
        $now = Get-Use $journal.use
        if ($now.thumbprint -ne $journal.new.thumbprint) { throw 'failed|it was told to use the new certificate, and does not name it' }
        if ($journal.use.kind -eq 'iis' -and $now.rest -cne $journal.old.rest) { throw 'failed|another attribute of the binding changed' }
        $journal.state = 'switched'
        Write-Journal $journal
    } catch {
        $why = $_.Exception.Message
        [void](Undo-Change (Read-Journal))
        throw ('undone|' + $why.Split('|', 2)[-1])
    }
    @{ done = $true }
})
