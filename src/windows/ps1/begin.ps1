# Imports the new certificate beside the old one, gives its key the same readers, and arms the task that undoes. Nothing
# refers to the new certificate yet.
Send-Reply (Invoke-Alone {
    $unsettled = Read-Journal
    if ($unsettled -and $unsettled.id -ceq $request.id -and $unsettled.state -eq 'staged') {
        return @{ readers = @(Get-Readers (Get-Certificate $request.new $request.store)); made = $unsettled.made.leaf }
    }
    if ($unsettled) { throw ('held|' + $unsettled.by) }
    $old = Get-Use $request.use
    if ($old.thumbprint -ne $request.old.thumbprint -or $old.rest -cne $request.old.rest) { throw 'stale|' }
    if (-not $old.store) { $old.store = 'My' }

    # A directory that only SYSTEM and Administrators may read or write, from its first moment on.
    $acl = New-Object Security.AccessControl.DirectorySecurity
    $acl.SetOwner($admins)
    $acl.SetAccessRuleProtection($true, $false)
    foreach ($sid in $system, $admins) {
        $acl.AddAccessRule((New-Object Security.AccessControl.FileSystemAccessRule($sid, 'FullControl', 'ContainerInherit,ObjectInherit', 'None', 'Allow')))
    }
    [void][IO.Directory]::CreateDirectory($dir, $acl)
    Confirm-Directory
    Set-Acl -LiteralPath $dir -AclObject $acl
    # A file of before keeps its own rules.
    if (Test-Path -LiteralPath $undoFile) { [IO.File]::Delete($undoFile) }

    $journal = @{
        id = $request.id; by = $request.by; state = 'staging'; use = $request.use; old = $old
        new = @{ thumbprint = $request.new; store = $request.store }
        made = @{ leaf = $false; chain = @() }
        until = [int64]((Get-Date).ToUniversalTime() - [datetime]'1970-01-01').TotalSeconds + $request.lease
    }
    $journal.made.chain = @($request.chain | Where-Object { -not (Get-Certificate $_ 'CA') })
    $there = Get-Certificate $request.new $request.store
    $journal.made.leaf = -not $there
    [IO.File]::WriteAllText($undoFile, $request.undo)
    Write-Journal $journal
    Set-Task $request.lease
    try {
        $store = New-Object Security.Cryptography.X509Certificates.X509Store('CA', 'LocalMachine')
        $store.Open('ReadWrite')
        foreach ($text in $request.issuers) {
            $issuer = New-Object Security.Cryptography.X509Certificates.X509Certificate2(,[Convert]::FromBase64String($text))
            if ($journal.made.chain -contains $issuer.Thumbprint) { $store.Add($issuer) }
        }
        $store.Close()

        if (-not $there) {
            $kept = [Security.Cryptography.X509Certificates.X509KeyStorageFlags]'MachineKeySet,PersistKeySet'
            try {
                $new = New-Object Security.Cryptography.X509Certificates.X509Certificate2($part[2], $request.password, $kept)
            } catch { throw ('pfx|' + $_.Exception.Message) }
            if ($new.Thumbprint -ne $request.new) { throw 'failed|another certificate came out of the PFX' }
            $store = New-Object Security.Cryptography.X509Certificates.X509Store($request.store, 'LocalMachine')
            $store.Open('ReadWrite')
            $store.Add($new)
            $store.Close()
        }
        $new = Get-Certificate $request.new $request.store
        if (-not $new -or -not $new.HasPrivateKey) { throw 'pfx|the certificate has no private key after its import' }
        try {
            $key = Get-PrivateKey $new
            $hash = [Security.Cryptography.HashAlgorithmName]::SHA256
            if ($key -is [Security.Cryptography.RSA]) {
                [void]$key.SignData($part[1], $hash, [Security.Cryptography.RSASignaturePadding]::Pkcs1)
            } else { [void]$key.SignData($part[1], $hash) }
        } catch { throw ('pfx|its private key cannot be used: ' + $_.Exception.Message) }

        $from = Get-KeyFile (Get-Certificate $old.thumbprint $old.store)
        $to = Get-KeyFile $new
        if ($from) {
            if (-not $to) { throw 'failed|the file of the new key was not found, so its readers cannot be set' }
            $acl = Get-Acl -LiteralPath $to
            foreach ($rule in Get-Rules $from) {
                $acl.AddAccessRule((New-Object Security.AccessControl.FileSystemAccessRule($rule.IdentityReference, $rule.FileSystemRights, 'Allow')))
            }
            Set-Acl -LiteralPath $to -AclObject $acl
            $readers = @(Get-Readers $new)
            $lost = @(Get-Rules $from | Where-Object { $readers -notcontains $_.IdentityReference.Value })
            if ($lost.Count) { throw 'failed|the readers of the old key could not be given to the new one' }
        }
        $journal.state = 'staged'
        Write-Journal $journal
    } catch {
        $why = $_.Exception.Message
        [void](Undo-Change (Read-Journal))
        throw $why
    }
    @{ readers = @(Get-Readers $new); made = $journal.made.leaf }
})
