# What every program shares. $part holds what came by standard input: this text, the request as JSON, and a PFX.
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$request = $null
if ($part) { $request = ConvertFrom-Json ([Text.Encoding]::UTF8.GetString($part[1])) }

$dir = Join-Path $env:ProgramData 'certroll'
$journalFile = Join-Path $dir 'journal.json'
$undoFile = Join-Path $dir 'undo.ps1'
$taskName = 'certroll-undo'
$namespace = 'root/cimv2/terminalservices'
$listener = @{ Address = '*'; Transport = 'HTTPS' }

function Send-Reply($value) {
    $json = ConvertTo-Json -InputObject $value -Depth 6 -Compress
    $text = [Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($json))
    [Console]::Out.WriteLine('@certroll1 ' + $request.nonce + ' ' + $text + ' .')
}

# Runs the work alone on this machine, and answers with what it gives or with why not.
function Invoke-Alone([scriptblock]$work) {
    $me = [Security.Principal.WindowsIdentity]::GetCurrent()
    $role = New-Object Security.Principal.WindowsPrincipal($me)
    if (-not $role.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {
        return @{ error = 'role'; why = $me.Name }
    }
    $mutex = New-Object Threading.Mutex($false, 'Global\certroll')
    try { $mine = $mutex.WaitOne(60000) } catch [Threading.AbandonedMutexException] { $mine = $true }
    if (-not $mine) { return @{ error = 'busy'; why = '' } }
    try {
        return @{ ok = (& $work) }
    } catch {
        $kind, $why = $_.Exception.Message.Split('|', 2)
        if ($null -eq $why) { $kind, $why = 'failed', $kind }
        return @{ error = $kind; why = $why }
    } finally {
        $mutex.ReleaseMutex()
    }
}

$system = New-Object Security.Principal.SecurityIdentifier('S-1-5-18')
$admins = New-Object Security.Principal.SecurityIdentifier('S-1-5-32-544')

# Everybody may make directories in ProgramData: what lies in one that somebody else has made is not believed.
function Confirm-Directory {
    $owner = (Get-Acl -LiteralPath $dir).GetOwner([Security.Principal.SecurityIdentifier])
    if (@($system, $admins) -notcontains $owner) {
        throw ('failed|' + $dir + ' belongs to somebody who is neither SYSTEM nor Administrators')
    }
}

function Read-Journal {
    if (Test-Path -LiteralPath $dir) { Confirm-Directory }
    if (Test-Path -LiteralPath $journalFile) { ConvertFrom-Json ([IO.File]::ReadAllText($journalFile)) }
}

function Write-Journal($value) {
    $next = "$journalFile.next"
    [IO.File]::WriteAllText($next, (ConvertTo-Json -InputObject $value -Depth 6 -Compress))
    if (Test-Path -LiteralPath $journalFile) {
        [IO.File]::Replace($next, $journalFile, [NullString]::Value)
    } else {
        [IO.File]::Move($next, $journalFile)
    }
}

function Get-Certificate($thumbprint, $store) {
    if ($thumbprint) {
        Get-Item -LiteralPath "Cert:\LocalMachine\$store\$thumbprint" -ErrorAction SilentlyContinue
    }
}

function Get-PrivateKey($certificate) {
    $key = [Security.Cryptography.X509Certificates.RSACertificateExtensions]::GetRSAPrivateKey($certificate)
    if ($null -eq $key) {
        $key = [Security.Cryptography.X509Certificates.ECDsaCertificateExtensions]::GetECDsaPrivateKey($certificate)
    }
    $key
}

# The file of a certificate's key, whichever provider keeps it.
function Get-KeyFile($certificate) {
    if ($null -eq $certificate -or -not $certificate.HasPrivateKey) { return }
    $key = Get-PrivateKey $certificate
    $name = $null
    if ($key.CspKeyContainerInfo) { $name = $key.CspKeyContainerInfo.UniqueKeyContainerName }
    elseif ($key.Key) { $name = $key.Key.UniqueName }
    if (-not $name) { return }
    foreach ($place in 'Crypto\RSA\MachineKeys', 'Crypto\Keys') {
        $path = Join-Path $env:ProgramData "Microsoft\$place\$name"
        if (Test-Path -LiteralPath $path) { return $path }
    }
}

# Who may read a key: the rules that allow something, by SID.
function Get-Rules($file) {
    $acl = Get-Acl -LiteralPath $file
    $rules = $acl.GetAccessRules($true, $true, [Security.Principal.SecurityIdentifier])
    @($rules | Where-Object { $_.AccessControlType -eq 'Allow' })
}

function Get-Readers($certificate) {
    $file = Get-KeyFile $certificate
    if ($file) { @(Get-Rules $file | ForEach-Object { $_.IdentityReference.Value } | Sort-Object -Unique) }
}

function Get-Binding($use) {
    Import-Module WebAdministration
    $owner = "@name='" + $use.site + "'"
    $found = @(Get-WebBinding | Where-Object {
        $_.protocol -ceq 'https' -and $_.bindingInformation -ceq $use.binding -and $_.ItemXPath.Contains($owner)
    })
    if ($found.Count -ne 1) { throw ('use|' + $found.Count) }
    $found[0]
}

# What the reference names now, and all the rest of it.
function Get-Use($use) {
    switch ($use.kind) {
        'iis' {
            $binding = Get-Binding $use
            $rest = @($binding.Attributes | Where-Object { $_.Name -notlike 'certificate*' } |
                ForEach-Object { $_.Name + '=' + $_.Value } | Sort-Object)
            return @{
                thumbprint = [string]$binding.certificateHash; store = [string]$binding.certificateStoreName
                flags = [int]$binding.sslFlags; rest = $rest -join ' '
            }
        }
        'rdp' {
            $setting = Get-CimInstance -Namespace $namespace -ClassName Win32_TSGeneralSetting -Filter "TerminalName='RDP-tcp'"
            if ($null -eq $setting) { throw 'use|0' }
            return @{ thumbprint = [string]$setting.SSLCertificateSHA1Hash; store = 'My'; flags = 0; rest = '' }
        }
        'winrm' {
            $found = Get-WSManInstance -ResourceURI winrm/config/Listener -SelectorSet $listener
            if ($null -eq $found) { throw 'use|0' }
            $thumbprint = ([string]$found.CertificateThumbprint).Replace(' ', '')
            return @{ thumbprint = $thumbprint; store = 'My'; flags = 0; rest = [string]$found.Hostname }
        }
    }
}

# Points the reference at a certificate; nothing else of it is touched.
function Set-Use($use, $thumbprint, $store, $hostname) {
    switch ($use.kind) {
        'iis' {
            $binding = Get-Binding $use
            if ($thumbprint) { [void]$binding.AddSslCertificate($thumbprint, $store) }
            else { [void]$binding.RemoveSslCertificate() }
        }
        'rdp' {
            $setting = Get-CimInstance -Namespace $namespace -ClassName Win32_TSGeneralSetting -Filter "TerminalName='RDP-tcp'"
            Set-CimInstance -InputObject $setting -Property @{ SSLCertificateSHA1Hash = $thumbprint } | Out-Null
        }
        'winrm' {
            $values = @{ Hostname = $hostname; CertificateThumbprint = $thumbprint }
            Set-WSManInstance -ResourceURI winrm/config/Listener -SelectorSet $listener -ValueSet $values | Out-Null
        }
    }
}

function Get-HttpEntries { (& netsh http show sslcert | Out-String) }

function Set-Task($seconds) {
    $arguments = '-NoProfile -NonInteractive -ExecutionPolicy Bypass -File "' + $undoFile + '"'
    $action = New-ScheduledTaskAction -Execute 'powershell.exe' -Argument $arguments
    $once = New-ScheduledTaskTrigger -Once -At (Get-Date).AddSeconds($seconds)
    $start = New-ScheduledTaskTrigger -AtStartup
    $who = New-ScheduledTaskPrincipal -UserId 'S-1-5-18' -LogonType ServiceAccount -RunLevel Highest
    $how = New-ScheduledTaskSettingsSet -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries -StartWhenAvailable
    Register-ScheduledTask -TaskName $taskName -Action $action -Trigger @($once, $start) -Principal $who -Settings $how -Force | Out-Null
}

# Nothing is left to undo.
function Clear-Journal {
    Unregister-ScheduledTask -TaskName $taskName -Confirm:$false -ErrorAction SilentlyContinue
    foreach ($file in $undoFile, $journalFile) {
        if (Test-Path -LiteralPath $file) { [IO.File]::Delete($file) }
    }
}

# First the reference, where it is still at the new certificate, then what was made for it.
function Undo-Change($journal) {
    $new, $old = $journal.new, $journal.old
    $now = Get-Use $journal.use
    $left = $false
    if ($now.thumbprint -eq $new.thumbprint) {
        Set-Use $journal.use $old.thumbprint $old.store $old.rest
        $now = Get-Use $journal.use
        if ($now.thumbprint -ne $old.thumbprint) { throw 'failed|the reference did not go back' }
        $words = 'back'
    } elseif ($now.thumbprint -eq $old.thumbprint) {
        $words = 'never'
    } else {
        $words = 'other'
    }
    $used = (Get-HttpEntries) -match $new.thumbprint
    if ($journal.made.leaf -and -not $used) {
        $path = "Cert:\LocalMachine\" + $new.store + '\' + $new.thumbprint
        if (Test-Path -LiteralPath $path) { Remove-Item -LiteralPath $path -DeleteKey }
    } elseif ($journal.made.leaf) {
        $left = $true
    }
    foreach ($thumbprint in @($journal.made.chain)) {
        $path = "Cert:\LocalMachine\CA\$thumbprint"
        if ($thumbprint -and -not $used -and (Test-Path -LiteralPath $path)) { Remove-Item -LiteralPath $path }
    }
    Clear-Journal
    @{ words = $words; left = $left; by = $journal.by; id = $journal.id }
}
