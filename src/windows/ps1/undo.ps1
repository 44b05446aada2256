# Undoes a change by the journal: asked to, or as a task of SYSTEM at its time and at startup.
$result = Invoke-Alone {
    $journal = Read-Journal
    if (-not $journal) { return @{ words = 'nothing' } }
    if ($request -and $request.id -and $journal.id -cne $request.id) { throw ('held|' + $journal.by) }
    if ($journal.state -eq 'confirmed') { Clear-Journal; return @{ words = 'nothing' } }
    if ($request -and -not $request.id) {
        $now = [int64]((Get-Date).ToUniversalTime() - [datetime]'1970-01-01').TotalSeconds
        if ($journal.until -gt $now) { throw ('held|' + $journal.by) }
    }
    Undo-Change $journal
}
if ($request) { Send-Reply $result } elseif ($result.error) { exit 1 }
