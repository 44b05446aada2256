# What is there. Changes nothing.
Send-Reply (Invoke-Alone {
    $use = $null; $why = $null; $others = @(); $file = $null; $certificate = $null
    try {
        $use = Get-Use $request.use
        if (-not $use.store) { $use.store = 'My' }
        $certificate = Get-Certificate $use.thumbprint $use.store
    } catch { $why = $_.Exception.Message }
    if ($request.use.kind -eq 'iis' -and $use) {
        $others = @(Get-WebBinding | Where-Object { $_.protocol -ceq 'https' } | ForEach-Object {
            @{ binding = [string]$_.bindingInformation; owner = [string]$_.ItemXPath; flags = [int]$_.sslFlags }
        })
    }
    $leaf = ''; $key = $false; $readers = @()
    if ($certificate) {
        $leaf = [Convert]::ToBase64String($certificate.RawData)
        $key = [bool]$certificate.HasPrivateKey
        $readers = @(Get-Readers $certificate)
    }
    $new = Get-Certificate $request.new $request.store
    $chain = @($request.chain | Where-Object { Get-Certificate $_ 'CA' })
    @{
        user = [Security.Principal.WindowsIdentity]::GetCurrent().Name
        build = [Environment]::OSVersion.Version.Build
        shell = $PSVersionTable.PSVersion.ToString()
        use = $use; missing = $why; leaf = $leaf; key = $key; readers = $readers
        new = [bool]$new; newKey = [bool]($new -and $new.HasPrivateKey)
        chain = $chain; others = $others; http = (Get-HttpEntries); journal = (Read-Journal)
        clock = [int64]((Get-Date).ToUniversalTime() - [datetime]'1970-01-01').TotalSeconds
    }
})
